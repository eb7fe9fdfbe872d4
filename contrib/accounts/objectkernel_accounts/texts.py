"""What the pages say, in each of their languages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from objectkernel_contracts import preferred_language

from objectkernel_accounts.errors import AccountsError, PasswordRefused, TooManyAttempts

LANGUAGES: Final = ("en", "fr")
"""The first one is for everybody whose language is not among them."""

WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "account": ("Account", "Compte"),
    "accounts": ("Your accounts", "Vos comptes"),
    "admin": ("admin", "administrateur"),
    "again": ("The same password again", "Le même mot de passe encore une fois"),
    "back": ("Back to your account", "Retour à votre compte"),
    "change_hint": (
        "Changing it signs you out everywhere else.",
        "Le changer vous déconnecte partout ailleurs.",
    ),
    "change_password": ("Change password", "Changer le mot de passe"),
    "current_password": ("Current password", "Mot de passe actuel"),
    "end": ("End", "Terminer"),
    "everywhere": ("Sign out everywhere", "Se déconnecter partout"),
    "forgotten": (
        "Forgotten your password? An administrator can give you a link to choose a new one.",
        "Mot de passe oublié ? Un administrateur peut vous donner un lien pour en choisir un nouveau.",
    ),
    "here": ("here now", "ici en ce moment"),
    "invitation": ("Invitation", "Invitation"),
    "invited_to": ("You are invited to", "Vous êtes invité à rejoindre"),
    "join": ("Join", "Rejoindre"),
    "last_used": ("last used", "utilisée le"),
    "login": ("Login or e-mail address", "Identifiant ou adresse e-mail"),
    "member": ("member", "membre"),
    "name": ("Your name", "Votre nom"),
    "name_saved": ("Your name has been saved.", "Votre nom a été enregistré."),
    "new_password": ("New password", "Nouveau mot de passe"),
    "operator": ("runs this host", "administre cet hôte"),
    "owner": ("owner", "propriétaire"),
    "password": ("Password", "Mot de passe"),
    "password_changed": ("Your password has been changed.", "Votre mot de passe a été changé."),
    "password_hint": (
        "At least 12 characters: four random words, for instance.",
        "Au moins 12 caractères : quatre mots au hasard, par exemple.",
    ),
    "problem": ("This did not work", "Cela n’a pas fonctionné"),
    "profile": ("Profile", "Profil"),
    "reset": ("Choose a new password", "Choisir un nouveau mot de passe"),
    "reset_for": ("A new password for", "Un nouveau mot de passe pour"),
    "role": ("Role", "Rôle"),
    "save": ("Save", "Enregistrer"),
    "session_ended": ("The session has ended.", "La session est terminée."),
    "sessions": ("Where you are signed in", "Où vous êtes connecté"),
    "sign_in": ("Sign in", "Se connecter"),
    "sign_in_first": (
        "This login is known here: sign in with it to join.",
        "Cet identifiant est connu ici : connectez-vous pour rejoindre.",
    ),
    "sign_out": ("Sign out", "Se déconnecter"),
    "signed_in_as": ("You are signed in as", "Vous êtes connecté en tant que"),
    "signed_out": ("You are signed out.", "Vous êtes déconnecté."),
    "switch": ("Switch", "Changer"),
    "this_one": ("this one", "celle-ci"),
    "unknown": ("unknown device", "appareil inconnu"),
    "viewer": ("viewer", "lecteur"),
}
NOTICES: Final = frozenset({"name_saved", "password_changed", "session_ended", "signed_out"})
"""What a page may be asked to say by its address."""

PROBLEMS: Final[Mapping[str, tuple[str, str]]] = {
    "A103": ("This login is taken.", "Cet identifiant est déjà pris."),
    "A104": ("There is no such account.", "Ce compte n’existe pas."),
    "A105": ("There is no such person.", "Cette personne n’existe pas."),
    "A107": (
        "This link cannot be used: it has been used, has expired, or was never made.",
        "Ce lien ne peut pas servir : il a servi, a expiré ou n’a jamais existé.",
    ),
    "A109": ("The account cannot be used now.", "Le compte ne peut pas être utilisé en ce moment."),
    "A111": ("This cannot be a name.", "Ceci ne peut pas être un nom."),
    "A201": ("The login or the password is wrong.", "L’identifiant ou le mot de passe est faux."),
    "A202": (
        "Too many wrong passwords. Try again in {seconds} seconds.",
        "Trop de mots de passe faux. Réessayez dans {seconds} secondes.",
    ),
    "A203": (
        "The form was too old, or not made for you. It is a new one now: send it again.",
        "Le formulaire était trop ancien ou n’était pas pour vous. En voici un nouveau : renvoyez-le.",
    ),
    "A204": (
        "Others could read your password on this connection. Use the address that begins with https://.",
        "D’autres pourraient lire votre mot de passe sur cette connexion. Utilisez l’adresse en https://.",
    ),
    "A205": (
        "Too many people sign in at once. Try again in a moment.",
        "Trop de personnes se connectent à la fois. Réessayez dans un instant.",
    ),
    "A207": (
        "The form was not filled as it should be. Go back to its page and send it again.",
        "Le formulaire n’était pas rempli comme il le faut. Revenez à sa page et renvoyez-le.",
    ),
    "characters": (
        "The password has characters that are none.",
        "Le mot de passe contient des caractères qui n’en sont pas.",
    ),
    "common": (
        "The password is among the first that somebody would try.",
        "Ce mot de passe est parmi les premiers que l’on essaierait.",
    ),
    "differs": ("The two passwords are not the same.", "Les deux mots de passe ne sont pas les mêmes."),
    "login": ("The password is the login with little added.", "Le mot de passe est l’identifiant à peine changé."),
    "long": ("The password has more than 1024 characters.", "Le mot de passe a plus de 1024 caractères."),
    "other": ("This did not work.", "Cela n’a pas fonctionné."),
    "short": ("The password has fewer than 12 characters.", "Le mot de passe a moins de 12 caractères."),
}


class Texts:
    """Everything in one language.

    Attributes:
        words: what pages say, by name.
    """

    def __init__(self, language: str) -> None:
        self.language = language
        at = LANGUAGES.index(language)
        self.words = MappingProxyType({name: texts[at] for name, texts in WORDS.items()})
        self._problems = {name: texts[at] for name, texts in PROBLEMS.items()}

    def problems(self, error: AccountsError) -> Iterator[str]:
        """What went wrong, a sentence each."""
        if isinstance(error, PasswordRefused):
            yield from (self._problems[reason] for reason in error.reasons)
        elif isinstance(error, TooManyAttempts):
            yield self._problems[error.code].format(seconds=error.retry_after)
        else:
            yield self._problems.get(error.code, self._problems["other"])


TEXTS: Final = {language: Texts(language) for language in LANGUAGES}


def preferred(accept_language: str) -> Texts:
    """The texts for an ``Accept-Language``."""
    return TEXTS[preferred_language(accept_language, LANGUAGES)]
