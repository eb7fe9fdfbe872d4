"""What the pages say, in each of their languages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from objectkernel_contracts import preferred_language

from objectkernel_device_auth.errors import DeviceAuthError, TooManyTries

LANGUAGES: Final = ("en", "fr")
"""The first one is for everybody whose language is not among them."""

SPACED: Final = re.compile(r" (?=[?!:;»])")

WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "address": ("Address", "Adresse"),
    "approve": ("Approve", "Autoriser"),
    "approved": ("Device connected", "Appareil connecté"),
    "approved_hint": (
        "You can close this page and go back to your device. It goes on by itself within a few seconds.",
        "Vous pouvez fermer cette page et revenir à votre appareil. Il continue de lui-même en quelques secondes.",
    ),
    "back": ("Back to your devices and keys", "Retour à vos appareils et clés"),
    "code": ("Code", "Code"),
    "code_hint": (
        "Eight letters, as your device shows them. Capitals and the hyphen do not matter.",
        "Huit lettres, telles que votre appareil les affiche. Majuscules et trait d’union sont facultatifs.",
    ),
    "compare": (
        "Compare this code with the one on your device.",
        "Comparez ce code avec celui de votre appareil.",
    ),
    "connect": ("Connect a device", "Connecter un appareil"),
    "connect_hint": (
        "A program on another device asks for access to your account and shows a code.",
        "Un programme sur un autre appareil demande l’accès à votre compte et affiche un code.",
    ),
    "continue": ("Continue", "Continuer"),
    "created": ("Created", "Création"),
    "decide": ("Let this device in?", "Autoriser cet appareil ?"),
    "denied": ("Device refused", "Appareil refusé"),
    "denied_hint": (
        "It was given nothing. If you did not start this, you need do nothing else.",
        "Il n’a rien reçu. Si vous n’êtes pas à l’origine de la demande, vous n’avez rien d’autre à faire.",
    ),
    "deny": ("Deny", "Refuser"),
    "devices": ("Your devices and keys", "Vos appareils et clés"),
    "devices_hint": (
        "Each of them can act in your name. Revoke what you do not know or no longer need.",
        "Chacun peut agir en votre nom. Révoquez ce que vous ne connaissez pas ou n’utilisez plus.",
    ),
    "ends": ("Ends", "Expiration"),
    "keep": ("Keep it", "Le garder"),
    "last_used": ("Last used", "Dernière utilisation"),
    "made_by_hand": ("made by hand", "créée à la main"),
    "may": ("It could:", "Il pourrait :"),
    "may_nothing": ("You cannot approve this", "Vous ne pouvez pas autoriser ceci"),
    "may_nothing_hint": (
        "You have none of the rights that it asks for. Deny it, or let somebody approve who has them.",
        "Vous n’avez aucun des droits qu’il demande. Refusez, ou laissez quelqu’un qui les a autoriser.",
    ),
    "more": ("Older ones", "Plus anciens"),
    "never": ("never", "jamais"),
    "nothing": ("There is none.", "Il n’y en a aucun."),
    "prefilled_hint": (
        "Check that your device shows this very code before you go on.",
        "Vérifiez que votre appareil affiche exactement ce code avant de continuer.",
    ),
    "problem": ("This did not work", "Cela n’a pas fonctionné"),
    "program": ("Program", "Programme"),
    "requested": ("Asked", "Demandé"),
    "requested_from": ("Asked from", "Demandé depuis"),
    "revoke": ("Revoke", "Révoquer"),
    "revoke_ask": ("Revoke this access?", "Révoquer cet accès ?"),
    "revoke_hint": (
        "Whatever uses it is refused from then on. This cannot be undone.",
        "Tout ce qui l’utilise sera refusé ensuite. C’est irréversible.",
    ),
    "revoked": ("The access has been revoked.", "L’accès a été révoqué."),
    "scopes": ("May", "Peut"),
    "sign_in": ("Sign in", "Se connecter"),
    "stop": (
        "Approve only if you have just started this yourself. Whoever sent you this code would get in otherwise.",
        "N’autorisez que si vous venez de lancer cela vous-même. Sinon, qui vous a envoyé ce code entrerait.",
    ),
    "unknown": ("unknown", "inconnu"),
    "wants": ("asks for access to your account.", "demande l’accès à votre compte."),
    "with": ("With", "Avec"),
}
NOTICES: Final = frozenset({"revoked"})
"""What a page may be asked to say by its address."""

PROBLEMS: Final[Mapping[str, tuple[str, str]]] = {
    "O101": (
        "You cannot give it what it asks for.",
        "Vous ne pouvez pas lui donner ce qu’il demande.",
    ),
    "O102": ("This access is not there, or no longer good.", "Cet accès n’existe pas ou n’est plus valable."),
    "O104": (
        "Too many codes were tried. Try again in {seconds} seconds.",
        "Trop de codes ont été essayés. Réessayez dans {seconds} secondes.",
    ),
    "O130": ("You are signed out. Sign in and begin again.", "Vous êtes déconnecté. Connectez-vous et recommencez."),
    "O131": (
        "The form was too old, or not made for you. Look at the page again, and send it once more.",
        "Le formulaire était trop ancien ou n’était pas pour vous. Revoyez la page et renvoyez-le.",
    ),
    "O132": (
        "The form was not filled as it should be. Go back to its page and send it again.",
        "Le formulaire n’était pas rempli comme il le faut. Revenez à sa page et renvoyez-le.",
    ),
    "O133": (
        "This code cannot be used: compare it with your device, or let the device show a new one.",
        "Ce code ne peut pas servir : comparez-le avec votre appareil, ou demandez-lui-en un nouveau.",
    ),
    "other": ("This did not work.", "Cela n’a pas fonctionné."),
}
AGES: Final = (
    ("less than a minute ago", "il y a moins d’une minute"),
    ("{n} min ago", "il y a {n} min"),
    ("{n} h ago", "il y a {n} h"),
    ("{n} d ago", "il y a {n} j"),
)
"""Below a minute, an hour, two days, and beyond."""


def _unbroken(text: str) -> str:
    """A text in which no line begins with the mark that French puts a space before."""
    return SPACED.sub("\N{NO-BREAK SPACE}", text)


class Texts:
    """Everything in one language.

    Attributes:
        words: what pages say, by name.
    """

    def __init__(self, language: str) -> None:
        self.language = language
        self._at = LANGUAGES.index(language)
        self.words = MappingProxyType({name: _unbroken(texts[self._at]) for name, texts in WORDS.items()})

    def problem(self, error: DeviceAuthError) -> str:
        """What went wrong, in a sentence."""
        text = _unbroken(PROBLEMS.get(error.code, PROBLEMS["other"])[self._at])
        return text.format(seconds=error.retry_after) if isinstance(error, TooManyTries) else text

    def age(self, moment: datetime, now: datetime) -> str:
        """How long ago something was, roughly."""
        passed = max(now - moment, timedelta())
        minutes, hours = passed // timedelta(minutes=1), passed // timedelta(hours=1)
        if minutes < 1:
            return AGES[0][self._at]
        if hours < 1:
            return AGES[1][self._at].format(n=minutes)
        return AGES[2][self._at].format(n=hours) if hours < 48 else AGES[3][self._at].format(n=hours // 24)


TEXTS: Final = {language: Texts(language) for language in LANGUAGES}


def preferred(accept_language: str) -> Texts:
    """The texts for an ``Accept-Language``."""
    return TEXTS[preferred_language(accept_language, LANGUAGES)]
