"""The routes of accounts: pages to sign in, the page about oneself, pages of links, and a small JSON interface."""

from __future__ import annotations

from fastapi import APIRouter

from objectkernel_accounts.account_api import account_api
from objectkernel_accounts.account_pages import account_router
from objectkernel_accounts.link_pages import link_router
from objectkernel_accounts.pages import Pages
from objectkernel_accounts.parts import Parts
from objectkernel_accounts.sign_in_pages import sign_in_router


def accounts_router(parts: Parts) -> APIRouter:
    """All of them."""
    pages = Pages(parts)
    router = APIRouter()
    for part in (
        sign_in_router(parts, pages),
        account_router(parts, pages),
        link_router(parts, pages),
        account_api(parts),
    ):
        router.include_router(part)
    return router
