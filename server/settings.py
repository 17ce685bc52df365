"""Settings from the environment or ``.env``: the only place that reads either."""

from __future__ import annotations

import os
import re
import secrets
import ssl
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar
from urllib.parse import quote, urlsplit

from pydantic import BeforeValidator, Field, PositiveInt, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from graph.limits import Limits
from persistence.encryption import KeyRing, new_key_entry

PREFIX: Final = "DISQUA_"
_T = TypeVar("_T")
_DATABASE = "disqua.sqlite3"
_MIN_TOKEN_KEY = 32
_ORIGIN = re.compile(r"https?://(?:[^\s/?#@:\[\]*]+|\[[0-9a-f:.]+\])(?::\d{1,5})?")
_POSTGRESQL = re.compile(r"postgres(?:ql)?(?:\+(?:asyncpg|psycopg))?://")
_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+asyncpg",
    "postgres+asyncpg": "postgresql+asyncpg",
    "postgres+psycopg": "postgresql+psycopg",
    "postgresql": "postgresql+asyncpg",
}
_DEFAULT_PORT = {"http": ":80", "https": ":443"}
_LIMITS = Limits()
_HELP_URL = "https://github.com/disqua/crm-connector/blob/main/docs/connector-guide.md"


class WrongSetting(Exception):
    """A setting that stops the start; its text is one line that names the variable and shows no secret."""


class Environment(StrEnum):
    """What kind of place this runs in."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


class LogLevel(StrEnum):
    """The least important lines that are logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def _listed(value: Any) -> Any:  # noqa: ANN401 - before validation it can be anything
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


Texts = Annotated[list[str], NoDecode, BeforeValidator(_listed)]
Days = Annotated[int, Field(ge=1, le=36_500)]
Networks = Annotated[list[IPv4Network | IPv6Network], NoDecode, BeforeValidator(_listed)]


class Settings(BaseSettings):
    """Every setting with its default; docs/operating.md describes each."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    env: Environment = Environment.DEVELOPMENT
    data_dir: Path = Path("data")
    database_url: str | None = Field(default=None, repr=False)
    redis_url: str | None = Field(default=None, repr=False)
    encryption_keys: str | None = Field(default=None, repr=False)
    token_key: str | None = Field(default=None, repr=False)
    jwks_url: str | None = None
    lookup_ca_file: Path | None = None
    lookup_allowed_networks: Networks = []
    allowed_origins: Texts = []
    help_url: str = _HELP_URL
    log_level: LogLevel = LogLevel.INFO
    authserv_id: str | None = None
    mails_per_sender_and_hour: PositiveInt = 500
    log_retention_days: Days | None = None
    raw_mail_retention_days: Days | None = None
    mail_connections: PositiveInt = 500
    mail_connections_per_client: PositiveInt = 200
    compiled: bool = True
    graphql_body_bytes: PositiveInt = _LIMITS.body_bytes
    graphql_tokens: PositiveInt = _LIMITS.tokens
    graphql_directives: PositiveInt = _LIMITS.directives
    graphql_selections: PositiveInt = _LIMITS.selections
    graphql_values: PositiveInt = _LIMITS.values
    graphql_depth: PositiveInt = _LIMITS.depth
    graphql_aliases: PositiveInt = _LIMITS.aliases
    graphql_equal_fields: PositiveInt = _LIMITS.equal_fields
    graphql_comparisons: PositiveInt = _LIMITS.comparisons
    graphql_fields: PositiveInt = _LIMITS.fields
    graphql_seconds: int = Field(default=25, ge=1)  # above what the database takes to be found away, twice over
    socket_frame_bytes: PositiveInt = _LIMITS.frame_bytes
    socket_operations: PositiveInt = _LIMITS.socket_operations
    socket_messages: PositiveInt = _LIMITS.socket_messages
    socket_init_seconds: PositiveInt = 10

    @property
    def production(self) -> bool:
        """Whether the strict rules apply."""
        return self.env is Environment.PRODUCTION

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: str | None) -> str | None:
        if value is not None and not (re.fullmatch(r"sqlite:///[^?]+", value) or _POSTGRESQL.match(value)):
            message = "it must be sqlite:////path/to/file or postgresql://user:password@host/database"
            raise ValueError(message)
        return value

    @field_validator("redis_url")
    @classmethod
    def _known_redis(cls, value: str | None) -> str | None:
        if value is not None and not re.match(r"(rediss?://[^/]|unix://)", value):
            message = "it must be redis://host:6379/0, rediss://… for TLS, or unix:///path/to/socket"
            raise ValueError(message)
        if value is not None:
            _ = urlsplit(value).port  # raises ValueError for a port that is none
        return value

    @field_validator("encryption_keys")
    @classmethod
    def _readable_keys(cls, value: str | None) -> str | None:
        if value is not None:
            KeyRing.parse(value)
        return value

    @field_validator("token_key")
    @classmethod
    def _long_key(cls, value: str | None) -> str | None:
        return None if value is None else _long_enough(value)

    @field_validator("lookup_ca_file")
    @classmethod
    def _certificates(cls, value: Path | None) -> Path | None:
        if value is None:
            return None
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(value)
        except ssl.SSLError:
            message = f"{value} holds no certificate in PEM form"
            raise ValueError(message) from None
        except OSError as error:
            message = f"{value} cannot be read: {error.strerror}"
            raise ValueError(message) from None
        return value

    @field_validator("allowed_origins")
    @classmethod
    def _origins(cls, values: list[str]) -> list[str]:
        return [_origin(value) for value in values]

    @field_validator("authserv_id")
    @classmethod
    def _name_of_a_server(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r'[^\s";()]+', value):
            message = "it must be the name with which your mail server begins its Authentication-Results, such as mx.example.com"
            raise ValueError(message)
        return value

    @field_validator("jwks_url", "help_url")
    @classmethod
    def _web_address(cls, value: str | None) -> str | None:
        if value is not None and (urlsplit(value).scheme not in {"http", "https"} or not urlsplit(value).hostname):
            message = "it must be an address such as https://example.com/path"
            raise ValueError(message)
        return value

    @model_validator(mode="after")
    def _no_generated_keys_in_production(self) -> Settings:
        if self.production and self.encryption_keys is None:
            message = f"{PREFIX}ENCRYPTION_KEYS: must be set in production; `disqua keys new` makes an entry"
            raise ValueError(message)
        if self.production and self.token_key is None and self.jwks_url is None:
            message = f"{PREFIX}TOKEN_KEY: it or {PREFIX}JWKS_URL must be set in production"
            raise ValueError(message)
        return self

    @property
    def async_database_url(self) -> str:
        """The database as SQLAlchemy's async engine wants it named."""
        if self.database_url is None:
            return f"sqlite+aiosqlite:///{quote(str(self.data_dir.resolve() / _DATABASE))}"
        scheme, separator, rest = self.database_url.partition("://")
        return f"{_DRIVERS.get(scheme, scheme)}{separator}{rest}"

    def limits(self) -> Limits:
        """What one request and one socket may cost."""
        return Limits(
            body_bytes=self.graphql_body_bytes,
            tokens=self.graphql_tokens,
            depth=self.graphql_depth,
            aliases=self.graphql_aliases,
            directives=self.graphql_directives,
            selections=self.graphql_selections,
            equal_fields=self.graphql_equal_fields,
            comparisons=self.graphql_comparisons,
            values=self.graphql_values,
            fields=self.graphql_fields,
            duration=timedelta(seconds=self.graphql_seconds),
            frame_bytes=self.socket_frame_bytes,
            socket_operations=self.socket_operations,
            socket_messages=self.socket_messages,
            init_timeout=timedelta(seconds=self.socket_init_seconds),
        )

    def key_ring(self) -> KeyRing:
        """The keys for secrets at rest: given, or generated into the data directory once."""
        if self.encryption_keys is not None:
            return KeyRing.parse(self.encryption_keys)
        return self._generated("encryption.keys", new_key_entry(), KeyRing.parse)

    def signing_key(self) -> str | None:
        """The key for our own tokens: given, or generated; None where only the identity provider issues them."""
        if self.token_key is not None or self.jwks_url is not None:
            return self.token_key
        return self._generated("token.key", secrets.token_urlsafe(48), _long_enough)

    def prepare_data_dir(self) -> None:
        """Make the embedded database's file, for the owner's eyes alone."""
        if self.database_url is None:
            with self._data_dir() as data_dir:
                os.close(os.open(data_dir / _DATABASE, os.O_CREAT | os.O_RDWR, 0o600))

    def _generated(self, name: str, fresh: str, read: Callable[[str], _T]) -> _T:
        """What the file holds; whoever comes first fills it, whole or not at all."""
        with self._data_dir() as data_dir:
            file = data_dir / name
            if not file.exists():
                _fill(file, fresh)
            text = file.read_bytes()
        try:
            return read(text.decode().strip())
        except ValueError as error:
            message = f"{PREFIX}DATA_DIR: {file} is damaged: {error}"
            raise WrongSetting(message) from None

    @contextmanager
    def _data_dir(self) -> Iterator[Path]:
        """The directory, made where it is missing; whatever fails in it is told as its fault."""
        try:
            self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            yield self.data_dir
        except OSError as error:
            message = f"{PREFIX}DATA_DIR: {error.filename or self.data_dir} cannot be used: {error.strerror}"
            raise WrongSetting(message) from None


def _fill(file: Path, text: str) -> None:
    with tempfile.NamedTemporaryFile("w", dir=file.parent, prefix=f".{file.name}.") as draft:  # mode 0600
        draft.write(f"{text}\n")
        draft.flush()
        os.fsync(draft.fileno())
        with suppress(FileExistsError):
            os.link(draft.name, file)


def _long_enough(key: str) -> str:
    key.encode()  # raises ValueError where the environment holds bytes that are no text
    if len(key) < _MIN_TOKEN_KEY:
        message = f"the key must have at least {_MIN_TOKEN_KEY} characters"
        raise ValueError(message)
    return key


def _origin(text: str) -> str:
    """An origin as browsers send it (RFC 6454, 6.2), or ``*`` for every one."""
    origin = text.lower().removesuffix("/")
    if origin != "*" and not _ORIGIN.fullmatch(origin):
        message = f"{text} is no origin, such as https://helpdesk.example.com"
        raise ValueError(message)
    return origin.removesuffix(_DEFAULT_PORT.get(origin.partition(":")[0], ""))


def load_settings(**given: Any) -> Settings:  # noqa: ANN401 - any setting
    """Read the settings; ``given`` ones go first. Raises WrongSetting with one line."""
    try:
        return Settings(**given)
    except ValidationError as error:
        first = error.errors()[0]
        reason = str(first["msg"]).removeprefix("Value error, ")
        name = "".join(f"{PREFIX}{str(first['loc'][0]).upper()}: " for _ in first["loc"][:1])
        raise WrongSetting(f"{name}{reason}") from None
    except UnicodeDecodeError:
        message = ".env is no text in UTF-8"
        raise WrongSetting(message) from None
    except OSError as error:
        message = f"{error.filename or '.env'} cannot be read: {error.strerror}"
        raise WrongSetting(message) from None
