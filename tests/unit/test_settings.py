"""Settings: where each value comes from, and that no secret is shown."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, get_args, get_origin

import pytest

from ign_deploy.errors import ConfigurationError
from ign_deploy.settings import Inputs, Resolved, Settings, given_secrets
from tests.support.identities import pem_key, rsa_key

SECRET = "hunter2-hunter2"


def resolve(
    folder: Path,
    env: Mapping[str, str] | None = None,
    flags: Mapping[str, object] | None = None,
    **more: bool | Path,
) -> Resolved:
    """Resolve the settings as a command in the folder would."""
    return Inputs(
        env=env or {},
        flags=flags or {},
        folder=folder,
        use_action_inputs=bool(more.get("action", False)),
        config_file=path_or_none(more.get("config_file")),
        env_file=path_or_none(more.get("env_file")),
    ).resolve()


def path_or_none(value: object) -> Path | None:
    return value if isinstance(value, Path) else None


def config(folder: Path, text: str, name: str = "ign-deploy.toml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_every_layer_overrides_the_one_below_and_names_its_origin(tmp_path: Path) -> None:
    env_file = tmp_path / "my.env"
    env_file.write_text("MODULE_REPOSITORY_URL=from-env-file\n")
    path = config(tmp_path, 'repository-url = "from-config"\n')
    env = {"MODULE_REPOSITORY_URL": "from-env"}
    inputs = {**env, "INPUT_REPOSITORY-URL": "from-input"}
    flags = {"repository_url": "from-flag"}
    cases = [
        (resolve(tmp_path / "elsewhere"), "", "the default"),
        (resolve(tmp_path), f"{tmp_path}/from-config", f"repository-url in {path}"),
        (
            resolve(tmp_path, env_file=env_file),
            "from-env-file",
            f"MODULE_REPOSITORY_URL in {env_file}",
        ),
        (resolve(tmp_path, env, env_file=env_file), "from-env", "MODULE_REPOSITORY_URL"),
        (resolve(tmp_path, inputs), "from-env", "MODULE_REPOSITORY_URL"),
        (resolve(tmp_path, inputs, action=True), "from-input", "input repository-url"),
        (resolve(tmp_path, inputs, flags, action=True), "from-flag", "--repository-url"),
    ]
    for resolved, value, origin in cases:
        assert resolved.settings.repository_url == value
        assert resolved.origin("repository_url") == origin


def test_the_variable_that_users_know_overrides_ours(tmp_path: Path) -> None:
    env = {"IGN_DEPLOY_CERT_PATH": "ours", "MODULE_SIGNING_CERT_PATH": "known"}
    assert resolve(tmp_path, env).settings.cert_path == "known"
    assert resolve(tmp_path, {"IGN_DEPLOY_CERT_PATH": "ours"}).settings.cert_path == "ours"


@pytest.mark.parametrize("url", ["", "https://docs.example.com/a?b#c", "HTTP://localhost:8000"])
def test_the_documentation_is_a_web_page(tmp_path: Path, url: str) -> None:
    settings = resolve(tmp_path, {"IGN_DEPLOY_DOCUMENTATION_URL": url}).settings
    assert settings.documentation_url == url


@pytest.mark.parametrize(
    "url",
    ["docs/index.html", "javascript:alert(1)", "https://", "https://a b/", "https://u:p@host/"],
)
def test_the_documentation_is_nothing_but_a_web_page(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigurationError, match="_URL: must be the URL of a web page"):
        resolve(tmp_path, {"IGN_DEPLOY_DOCUMENTATION_URL": url})


def test_every_setting_can_come_from_the_environment_and_an_input(tmp_path: Path) -> None:
    for name, field, _ in Settings.names():
        kinds = ((bool, "true"), (int, "404"))
        choices = [each for each in get_args(field.annotation) if isinstance(each, str) and each]
        usual = choices[-1] if get_origin(field.annotation) is Literal else "https://host"
        value = next((text for kind, text in kinds if field.annotation is kind), usual)
        from_env = resolve(tmp_path, {f"IGN_DEPLOY_{name.upper()}": value})
        assert from_env.origin(name) == f"IGN_DEPLOY_{name.upper()}"
        variable = f"INPUT_{name.replace('_', '-').upper()}"
        from_input = resolve(tmp_path, {variable: value}, action=True)
        assert from_input.origin(name) == f"input {name.replace('_', '-')}"
        assert getattr(from_env.settings, name) == getattr(from_input.settings, name)


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), ("1", True), ("True", True), (" yes\n", True), ("false", False), ("0", False)],
)
def test_switches_are_read_from_text(tmp_path: Path, text: str, value: bool) -> None:
    assert resolve(tmp_path, {"IGN_DEPLOY_DRY_RUN": text}).settings.dry_run is value
    assert resolve(tmp_path, {"INPUT_DRY-RUN": text}, action=True).settings.dry_run is value


@pytest.mark.parametrize("text", ["", " ", "\n"])
def test_an_empty_value_is_unset(tmp_path: Path, text: str) -> None:
    config(tmp_path, 'dry-run = true\nversion = "1.2.3"\n')
    env = {"IGN_DEPLOY_DRY_RUN": text, "INPUT_DRY-RUN": text, "INPUT_VERSION": text}
    settings = resolve(tmp_path, env, action=True).settings
    assert settings.dry_run is True
    assert settings.version == "1.2.3"


def test_a_switch_that_is_off_overrides_a_lower_layer_that_turns_it_on(tmp_path: Path) -> None:
    env = {"IGN_DEPLOY_DRY_RUN": "true", "INPUT_DRY-RUN": "false"}
    assert resolve(tmp_path, env, action=True).settings.dry_run is False


def test_lists_are_separated_by_lines_or_commas(tmp_path: Path) -> None:
    tags = ("a", "b c", "d")
    assert resolve(tmp_path, {"IGN_DEPLOY_TAGS": "a, b c,\n\nd"}).settings.tags == tags
    assert resolve(tmp_path, flags={"tags": ("a,b c", "d")}).settings.tags == tags
    config(tmp_path, 'tags = ["a", "b c", "d"]\ntrust-anchor = ["x,y.pem"]\n')
    assert resolve(tmp_path).settings.tags == tags
    assert resolve(tmp_path).settings.trust_anchor == (f"{tmp_path}/x,y.pem",)


def test_a_final_line_feed_is_dropped_from_values_but_not_from_passwords(tmp_path: Path) -> None:
    env = {"INPUT_VERSION": "1.2.3\n", "MODULE_SIGNING_PASSWORD": " blank \n"}
    settings = resolve(tmp_path, env, action=True).settings
    assert settings.version == "1.2.3"
    assert settings.signing_password.get_secret_value() == " blank \n"


@pytest.mark.parametrize(
    ("env", "origin"),
    [
        ({"IGN_DEPLOY_DRY_RUN": SECRET}, "IGN_DEPLOY_DRY_RUN"),
        ({"IGN_DEPLOY_BUILD_TIMEOUT": SECRET}, "IGN_DEPLOY_BUILD_TIMEOUT"),
        ({"IGN_DEPLOY_BUILD_TIMEOUT": "-5"}, "IGN_DEPLOY_BUILD_TIMEOUT"),
        ({"IGN_DEPLOY_BUILD_TIMEOUT": "0"}, "IGN_DEPLOY_BUILD_TIMEOUT"),
        ({"IGN_DEPLOY_FORMAT": SECRET}, "IGN_DEPLOY_FORMAT"),
    ],
)
def test_a_wrong_value_is_named_by_its_origin_and_not_repeated(
    tmp_path: Path, env: dict[str, str], origin: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        resolve(tmp_path, env)
    assert origin in caught.value.message
    assert caught.value.hint
    assert SECRET not in caught.value.message + caught.value.hint
    assert caught.value.__cause__ is None


def test_all_wrong_values_are_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        resolve(tmp_path, {"IGN_DEPLOY_FORMAT": "tar", "IGN_DEPLOY_DRY_RUN": "perhaps"})
    assert "IGN_DEPLOY_FORMAT" in caught.value.message
    assert "IGN_DEPLOY_DRY_RUN" in caught.value.message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("signing-password = 'x'", "contains the secret setting 'signing-password'"),
        ("key_password = 'x'", "contains the secret setting 'key_password'"),
        ("repositry-url = 'x'", "unknown setting 'repositry-url'"),
        ("version = 1.2", "version in "),
        ("version = ", "is not valid TOML"),
        ("output-dir = 'a\\u0000b'", "is not valid TOML"),
        ('output-dir = "a\\u0000b"', "NUL"),
        ("dry-run = 'perhaps'", "dry-run in "),
        ("tags = [1]", "tags in "),
    ],
)
def test_an_invalid_config_file_is_explained(tmp_path: Path, text: str, message: str) -> None:
    if text.startswith("output-dir = 'a"):
        text = "output-dir = 'a"
    config(tmp_path, text)
    with pytest.raises(ConfigurationError) as caught:
        resolve(tmp_path)
    assert message in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("name", ["missing.toml", ".", "huge.toml", "latin.toml"])
def test_an_unreadable_config_file_is_explained(tmp_path: Path, name: str) -> None:
    (tmp_path / "huge.toml").write_bytes(b"#" * ((1 << 20) + 1))
    (tmp_path / "latin.toml").write_bytes(b"notes = '\xff'")
    with pytest.raises(ConfigurationError) as caught:
        resolve(tmp_path, config_file=tmp_path / name)
    assert str(tmp_path / name) in caught.value.message


def test_ign_deploy_toml_overrides_pyproject(tmp_path: Path) -> None:
    config(tmp_path, "[tool.ign-deploy]\nversion = '1.0.0'\n", "pyproject.toml")
    assert resolve(tmp_path).settings.version == "1.0.0"
    config(tmp_path, "version = '2.0.0'\n")
    assert resolve(tmp_path).settings.version == "2.0.0"


@pytest.mark.parametrize("text", ["", "tool = 3\n", "[tool.other]\nx = 1\n", "[project]\n"])
def test_a_pyproject_without_our_table_is_ignored(tmp_path: Path, text: str) -> None:
    config(tmp_path, text, "pyproject.toml")
    assert resolve(tmp_path).settings == Settings()


@pytest.mark.parametrize(
    "data", [b"[tool.other\nx = 1\n", b"x = '\xfc'\n", "x = 1\n".encode("utf-16")]
)
def test_a_broken_pyproject_of_another_tool_stops_nothing(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "pyproject.toml").write_bytes(data)
    assert resolve(tmp_path).settings == Settings()
    with pytest.raises(ConfigurationError, match="is not valid TOML"):
        resolve(tmp_path, config_file=tmp_path / "pyproject.toml")


def test_a_broken_pyproject_that_speaks_of_us_is_an_error(tmp_path: Path) -> None:
    config(tmp_path, "[tool.ign-deploy]\nversion = \n", "pyproject.toml")
    with pytest.raises(ConfigurationError, match="is not valid TOML"):
        resolve(tmp_path)


@pytest.mark.parametrize(
    "text",
    [".".join("a" * 40_000) + " = 1\n", "x = {" + ".".join("a" * 40_000) + " = 1}\n",
     '"a".' * 40_000 + "b = 1\n", "x = " + "[" * 40_000],
    ids=["a key", "in a table", "a quoted key", "lists in lists"],
)  # fmt: skip
def test_a_config_file_that_is_far_too_deep_is_rejected_at_once(tmp_path: Path, text: str) -> None:
    config(tmp_path, text)
    with pytest.raises(ConfigurationError, match="is not valid TOML"):
        resolve(tmp_path)


def test_a_long_list_of_urls_on_one_line_is_fine(tmp_path: Path) -> None:
    urls = [f"https://gateway-{number}.plant.example" for number in range(99)]
    config(tmp_path, f"health-url = {urls}\n")
    assert resolve(tmp_path).settings.health_url == tuple(urls)


def test_a_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    config(tmp_path, "\ufeffversion = '1.0.0'\n")
    path = tmp_path / "my.env"
    path.write_text("\ufeffIGN_DEPLOY_NOTES=x\n")
    settings = resolve(tmp_path, env_file=path).settings
    assert (settings.version, settings.notes) == ("1.0.0", "x")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("A=b\n".encode("utf-16"), "it is UTF-16 text, not UTF-8"),
        (b"A=b\nC=\xfc\n", r"it is not UTF-8 text \(line 2\)"),
    ],
)
def test_text_in_another_encoding_is_named_as_such(
    tmp_path: Path, data: bytes, reason: str
) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    with pytest.raises(ConfigurationError, match=f"cannot read the env file .*: {reason}"):
        resolve(tmp_path, env_file=path)
    with pytest.raises(ConfigurationError, match=f"cannot read the file named by .*: {reason}"):
        resolve(tmp_path, {"MODULE_SIGNING_PASSWORD": str(path)})
    with pytest.raises(ConfigurationError, match=reason):
        resolve(tmp_path, config_file=path)


def test_a_comma_separates_tags_only(tmp_path: Path) -> None:
    url = "https://plant.example/health?of=a,b"
    env = {"IGN_DEPLOY_HEALTH_URL": f"{url}\n\n /x,y \n", "IGN_DEPLOY_TAGS": "a, b\nc"}
    settings = resolve(tmp_path, env).settings
    assert settings.health_url == (url, "/x,y")
    assert settings.tags == ("a", "b", "c")


def test_a_pyproject_whose_ign_deploy_key_is_not_a_table_is_rejected(tmp_path: Path) -> None:
    config(tmp_path, "[tool]\nign-deploy = 'x'\n", "pyproject.toml")
    with pytest.raises(ConfigurationError, match="is not a table"):
        resolve(tmp_path)


def test_an_env_file_is_read_literally(tmp_path: Path) -> None:
    path = tmp_path / "my.env"
    path.write_text("export IGN_DEPLOY_NOTES='$HOME ${X}'\nMODULE_SIGNING_PASSWORD=a#b\n")
    settings = resolve(tmp_path, {"X": "y"}, env_file=path).settings
    assert settings.notes == "$HOME ${X}"
    assert settings.signing_password.get_secret_value() == "a#b"
    with pytest.raises(ConfigurationError, match=r"env file .*missing not found"):
        resolve(tmp_path, env_file=tmp_path / "missing")


def test_no_env_file_is_read_unless_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("IGN_DEPLOY_VERSION=1.2.3\n")
    assert resolve(tmp_path).settings.version == ""


def test_no_representation_contains_a_secret(tmp_path: Path) -> None:
    env = {"MODULE_SIGNING_PASSWORD": SECRET, "IGN_DEPLOY_KEY_PASSWORD": SECRET + "2"}
    resolved = resolve(tmp_path, env)
    assert (
        SECRET not in repr(resolved) + str(resolved.settings) + resolved.settings.model_dump_json()
    )
    assert set(resolved.secrets()) == {SECRET, SECRET + "2"}


def test_key_material_is_secret_but_a_path_is_not(tmp_path: Path) -> None:
    key = pem_key(rsa_key())
    encoded = base64.b64encode(key).decode()
    there = tmp_path / "key"
    there.write_bytes(key)
    secret = [key.decode(), encoded, "\n".join([encoded[:76], encoded[76:]]), encoded[:100]]
    for value in secret:
        assert resolve(tmp_path, {"MODULE_SIGNING_KEY_PATH": value}).secrets() == (value.strip(),)
    for value in (str(there), "keys/missing.pem", "/run/secrets/key", "~/signing.p12", "key"):
        assert resolve(tmp_path, {"MODULE_SIGNING_KEY_PATH": value}).secrets() == ()


def test_secrets_are_found_before_the_settings_are_parsed() -> None:
    env = {
        "MODULE_SIGNING_PASSWORD": SECRET,
        "INPUT_KEY-PASSWORD": "other",
        "IGN_DEPLOY_KEYSTORE": "A" * 100,
        "MODULE_SIGNING_CERT_PATH": "signing.cert.pem",
        "INPUT_VERSION": "1.2.3",
    }
    assert set(given_secrets(env)) == {SECRET, "other", "A" * 100}


def test_a_password_can_be_the_path_of_a_file(tmp_path: Path) -> None:
    """Like a File variable of GitLab, or a mounted secret."""
    file = tmp_path / "password"
    file.write_text("pass word\n")
    resolved = Inputs(
        env={"MODULE_SIGNING_PASSWORD": str(file)}, flags={}, folder=tmp_path
    ).resolve()
    assert resolved.settings.signing_password.get_secret_value() == "pass word"
    assert "pass word" in resolved.secrets()
    assert resolved.settings.secret_files == (file,)


def test_an_env_file_is_a_secret_file(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("MODULE_SIGNING_PASSWORD=secret\n")
    resolved = Inputs(env={}, flags={}, folder=tmp_path, env_file=file).resolve()
    assert resolved.settings.secret_files == (file,)


def test_a_password_that_only_looks_like_a_path_is_a_password(tmp_path: Path) -> None:
    resolved = Inputs(
        env={"MODULE_SIGNING_PASSWORD": "/no/such/file"}, flags={}, folder=tmp_path
    ).resolve()
    assert resolved.settings.signing_password.get_secret_value() == "/no/such/file"


@pytest.mark.parametrize("content", [b"", b"x" * 5000, b"\xff\xfe"])
def test_a_file_without_a_password_is_rejected(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "password"
    file.write_bytes(content)
    inputs = Inputs(env={"MODULE_SIGNING_PASSWORD": str(file)}, flags={}, folder=tmp_path)
    with pytest.raises(ConfigurationError, match="file named by MODULE_SIGNING_PASSWORD"):
        inputs.resolve()


def test_an_empty_option_is_not_given(tmp_path: Path) -> None:
    """A script's `--version "$VERSION"` with nothing in the variable."""
    resolved = Inputs(
        env={"IGN_DEPLOY_VERSION": "1.2.3"}, flags={"version": ""}, folder=tmp_path
    ).resolve()
    assert resolved.settings.version == "1.2.3"


GATEWAYS = """
[[gateways]]
name = "line 3"
url = "https://line3.example:8043"
environment = "production"
token-variable = "LINE3_TOKEN"
"""


def test_the_config_file_names_gateways_and_their_tokens_are_secret(tmp_path: Path) -> None:
    (tmp_path / "ign-deploy.toml").write_text(GATEWAYS, "utf-8")
    resolved = resolve(tmp_path, {"LINE3_TOKEN": "ci:s3cret"})
    (gateway,) = resolved.settings.gateways
    assert (gateway.name, gateway.token_variable) == ("line 3", "LINE3_TOKEN")
    assert "ci:s3cret" in resolved.secrets()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('[[gateways]]\nname = "a"', "has no 'url'"),
        ('[[gateways]]\nname = "a"\nurl = "https://a"\ntoken = "s3cret"', "token"),
        ('[[gateways]]\nname = ""\nurl = "https://a"', "name"),
        ('gateways = "https://a"', "the table"),
        (f"{GATEWAYS}\n{GATEWAYS}", "share the name 'line 3'"),
    ],
)
def test_an_invalid_gateway_table_is_explained(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "ign-deploy.toml").write_text(text, "utf-8")
    with pytest.raises(ConfigurationError) as caught:
        resolve(tmp_path, {})
    assert reason in caught.value.message
    assert "s3cret" not in caught.value.message + caught.value.hint


def test_only_a_config_file_that_was_named_is_trusted_with_secrets(tmp_path: Path) -> None:
    path = config(tmp_path, 'smtp-url = "smtps://mail.example"\n')
    with pytest.raises(ConfigurationError, match=f"smtp-url in {path} decides") as caught:
        resolve(tmp_path).settings.require_named("smtp_url", decides="who gets a password")
    for way in ("--config", "input config", "IGN_DEPLOY_CONFIG", "IGN_DEPLOY_SMTP_URL"):
        assert way in caught.value.hint
    named = str(path)
    inputs = {"INPUT_CONFIG": named, "IGN_DEPLOY_CONFIG": "elsewhere.toml"}
    for resolved in (
        resolve(tmp_path, config_file=path),
        resolve(tmp_path, {"IGN_DEPLOY_CONFIG": named}),
        resolve(tmp_path, inputs, action=True),
        # What the environment names counts, and the file does not.
        resolve(tmp_path, {"IGN_DEPLOY_SMTP_URL": "smtps://mail.example"}),
    ):
        assert resolved.settings.smtp_url == "smtps://mail.example"
        resolved.settings.require_named("smtp_url", decides="who gets a password")


def test_a_pyproject_that_was_only_found_is_not_trusted_either(tmp_path: Path) -> None:
    config(tmp_path, '[tool.ign-deploy]\nrepository-url = "https://x.example"\n', "pyproject.toml")
    with pytest.raises(ConfigurationError, match="repository-url in "):
        resolve(tmp_path).settings.require_named("repository_url", decides="who gets a token")
