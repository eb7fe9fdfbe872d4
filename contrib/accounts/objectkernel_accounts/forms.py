"""What the forms of the pages send, and what the JSON routes take and give."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from objectkernel_contracts import Role
from pydantic import BaseModel, ConfigDict, Field, SecretStr

ID = "0b54a1d6-3f0b-4a50-9d4f-9d2f2d6f3b1e"
Id = Annotated[str, Field(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", examples=[ID])]
NOTHING = SecretStr("")


class Form(BaseModel):
    """A form; its first field shows that its sender has seen the page that it is on."""

    model_config = ConfigDict(extra="forbid")

    csrf: str = ""


class SignInForm(Form):
    login: str = ""
    password: SecretStr = NOTHING
    return_to: str = ""


class NewPasswordForm(Form):
    login: str = ""
    password: SecretStr = NOTHING
    again: SecretStr = NOTHING


class InvitationForm(NewPasswordForm):
    name: str = ""


class ChangePasswordForm(NewPasswordForm):
    current: SecretStr = NOTHING


class NameForm(Form):
    name: str = ""


class SwitchForm(Form):
    account: Id


class EndForm(Form):
    session: Id


class Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ShownAccount(Answer):
    id: str = Field(examples=[ID])
    name: str = Field(examples=["Analytical Engines"])


class ShownUser(Answer):
    id: str = Field(examples=[ID])
    login: str = Field(examples=["grace@example.org"])
    name: str = Field(examples=["Grace"])
    operator: bool


class Me(Answer):
    """Who is calling: `user` and `role` are null for a program."""

    account: ShownAccount
    user: ShownUser | None
    role: Role | None
    scopes: list[str] = Field(examples=[["data:read", "data:write"]])


class Member(Answer):
    user: ShownUser
    role: Role


class Members(Answer):
    items: list[Member]


class RoleChange(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"role": "admin"}]})

    role: Role


class NewInvitation(BaseModel):
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"login": "grace@example.org", "role": "member"}]}
    )

    login: str = Field(min_length=1, max_length=254)
    role: Role = "member"


class Invited(Answer):
    """An invitation; whoever has `path` may use it, once."""

    login: str = Field(examples=["grace@example.org"])
    role: Role
    path: str = Field(examples=["/invitation/Yw5n0VqjJ0b1T2o8mHc4Xk7sLr3eQfD9uBzGtIaPxWM"])
    expires_at: datetime = Field(examples=["2026-01-31T09:30:00Z"])
