"""REST of the user service, after protocol.md. What is shown of others is id and name, never an e-mail address."""

from typing import Final

from msgspec import UNSET, Struct, UnsetType
from quart import Blueprint, Response

from core.base.errors import Rejected
from core.base.ids import DeviceId, UserId
from core.base.limits import KIB, MIB, USERS_PER_REQUEST_MAX
from core.rules.names import OPEN, SIGNED_IN
from sidecars.ports.http import body, caller, client_address, no_content, query_text, reply, route
from sidecars.ports.users import Account, Device, LastSeen, Privacy
from sidecars.user.service import UserService
from sidecars.user.sessions import LoggedIn

CREDENTIALS_BYTES_MAX: Final = MIB + 64 * KIB
"""So large that a megabyte of password is told its bounds."""

NO_STORE: Final = {"Cache-Control": "no-store"}  # RFC 6749, section 5.1


class Register(Struct):
    """Body of POST /auth/register."""

    email: str
    name: str
    password: str
    device_name: str = ""


class Login(Struct):
    """Body of POST /auth/login."""

    email: str
    password: str
    device_name: str = ""
    device: str = ""


class Refresh(Struct):
    """Body of POST /auth/refresh."""

    refresh_token: str


class ChangeMe(Struct):
    """Body of PATCH /users/me; a new `password` needs the `current_password`."""

    name: str | UnsetType = UNSET
    password: str | UnsetType = UNSET
    current_password: str = ""


class ChangePrivacy(Struct):
    """Body of PUT /users/me/privacy."""

    last_seen: LastSeen
    read_receipts: bool


def routes(service: UserService) -> Blueprint:
    """All paths below /user-service."""
    blueprint = Blueprint("user", __name__, url_prefix="/user-service")
    _add_auth(blueprint, service)
    _add_me(blueprint, service)
    _add_devices_and_privacy(blueprint, service)
    _add_people(blueprint, service)
    return blueprint


def _add_auth(blueprint: Blueprint, service: UserService) -> None:
    sessions = service.sessions

    @route(blueprint, "POST", "/auth/register", rule=OPEN)
    async def register() -> Response:
        wish = await body(Register, limit=CREDENTIALS_BYTES_MAX)
        logged_in = await sessions.register(
            wish.email, wish.name, wish.password, device_name=wish.device_name, address=client_address()
        )
        return _logged_in(logged_in, 201)

    @route(blueprint, "POST", "/auth/login", rule=OPEN)
    async def login() -> Response:
        wish = await body(Login, limit=CREDENTIALS_BYTES_MAX)
        logged_in = await sessions.log_in(
            wish.email, wish.password, device_name=wish.device_name, device=wish.device, address=client_address()
        )
        return _logged_in(logged_in, 200)

    @route(blueprint, "POST", "/auth/refresh", rule=OPEN)
    async def refresh() -> Response:
        return _logged_in(await sessions.refresh((await body(Refresh)).refresh_token), 200)

    @route(blueprint, "POST", "/auth/logout", rule=SIGNED_IN)
    async def logout() -> Response:
        await sessions.log_out(caller().user, caller().device)
        return no_content()

    @route(blueprint, "GET", "/.well-known/jwks.json", rule=OPEN)
    async def jwks() -> Response:
        return reply(service.jwks(), headers={"Cache-Control": "public, max-age=300"})


def _add_me(blueprint: Blueprint, service: UserService) -> None:
    @route(blueprint, "GET", "/users/me", rule=SIGNED_IN)
    async def me() -> Response:
        return reply(_own(await service.me(caller().user)))

    @route(blueprint, "PATCH", "/users/me", rule=SIGNED_IN)
    async def change_me() -> Response:
        change = await body(ChangeMe, limit=CREDENTIALS_BYTES_MAX)
        user = caller().user
        if change.password is not UNSET:
            await service.sessions.set_password(
                user, caller().device, change.current_password, change.password, address=client_address()
            )
        account = await service.me(user) if change.name is UNSET else await service.rename(user, change.name)
        return reply(_own(account))

    @route(blueprint, "DELETE", "/users/me", rule=SIGNED_IN)
    async def delete_me() -> Response:
        await service.sessions.erase(caller().user)
        return no_content()

    @route(blueprint, "GET", "/users/me/export", rule=SIGNED_IN)
    async def export() -> Response:
        account, devices, blocks = await service.export(caller().user)
        everything = {
            "user": _own(account),
            "privacy": account.privacy,
            "devices": [_device(device, caller().device) for device in devices],
            "blocks": blocks,
        }
        return reply(everything, headers={"Content-Disposition": 'attachment; filename="trimaran-account.json"'})


def _add_devices_and_privacy(blueprint: Blueprint, service: UserService) -> None:
    @route(blueprint, "GET", "/users/me/devices", rule=SIGNED_IN)
    async def devices() -> Response:
        found = await service.sessions.devices(caller().user)
        return reply({"devices": [_device(device, caller().device) for device in found]})

    @route(blueprint, "DELETE", "/users/me/devices/<device>", rule=SIGNED_IN)
    async def remove_device(device: str) -> Response:
        await service.sessions.remove_device(caller().user, DeviceId(device))
        return no_content()

    @route(blueprint, "GET", "/users/me/privacy", rule=SIGNED_IN)
    async def privacy() -> Response:
        return reply(await service.own_privacy(caller().user))

    @route(blueprint, "PUT", "/users/me/privacy", rule=SIGNED_IN)
    async def change_privacy() -> Response:
        wish = await body(ChangePrivacy)
        return reply(await service.set_privacy(caller().user, Privacy(wish.last_seen, wish.read_receipts)))


def _add_people(blueprint: Blueprint, service: UserService) -> None:
    @route(blueprint, "GET", "/users/me/blocks", rule=SIGNED_IN)
    async def blocks() -> Response:
        return reply({"users": [_other(account) for account in await service.blocks(caller().user)]})

    @route(blueprint, "PUT", "/users/me/blocks/<user>", rule=SIGNED_IN)
    async def block(user: str) -> Response:
        await service.block(caller().user, UserId(user))
        return no_content()

    @route(blueprint, "DELETE", "/users/me/blocks/<user>", rule=SIGNED_IN)
    async def unblock(user: str) -> Response:
        await service.unblock(caller().user, UserId(user))
        return no_content()

    @route(blueprint, "GET", "/users/<user>", rule=SIGNED_IN)
    async def user(user: str) -> Response:
        return reply(_other(await service.user(UserId(user))))

    @route(blueprint, "GET", "/users", rule=SIGNED_IN)
    async def users() -> Response:
        ids, search = query_text("ids", None, chars_max=16 * KIB), query_text("search", None)
        if ids is not None:
            found = await service.users(_ids(ids))
        elif search is not None:
            found = await service.search(search)
        else:
            raise Rejected("bad_request", "search: expected either ids or search", field="search")
        return reply({"users": [_other(account) for account in found]})


def _ids(text: str) -> list[UserId]:
    ids = [UserId(part) for part in text.split(",") if part]
    if len(ids) > USERS_PER_REQUEST_MAX:
        raise Rejected("bad_request", f"ids: expected at most {USERS_PER_REQUEST_MAX}, got {len(ids)}", field="ids")
    return ids


# ---- what is shown


def _own(account: Account) -> dict[str, object]:
    return {
        "id": account.id,
        "name": account.name,
        "email": account.email,
        "created_ms": account.created_ms,
        "is_operator": account.is_operator,
    }


def _other(account: Account) -> dict[str, object]:
    return {"id": account.id, "name": account.name}


def _device(device: Device, current: DeviceId) -> dict[str, object]:
    return {
        "id": device.id,
        "name": device.name,
        "created_ms": device.created_ms,
        "last_used_ms": device.used_ms,
        "is_current": device.id == current,
    }


def _logged_in(logged_in: LoggedIn, status: int) -> Response:
    answer = {
        "user": _own(logged_in.account),
        "device": logged_in.device,
        "access_token": logged_in.access_token,
        "refresh_token": logged_in.refresh_token,
        "token_type": "Bearer",
        "expires_in_s": logged_in.expires_in_s,
    }
    return reply(answer, status, NO_STORE)
