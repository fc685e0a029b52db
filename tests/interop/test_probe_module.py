"""The probe's class, which we write byte by byte, is one that Java verifies, loads and starts."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path
from zipfile import ZipFile

from ign_deploy.module.archive import Archive
from ign_deploy.module.checks import check_module
from ign_deploy.module.findings import errors_among
from ign_deploy.pipeline.probe_module import make_probe_modules

PROGRAM = Path(__file__).with_name("TryProbe.java")
SDK = "com.inductiveautomation.ignition"
HOOK = "org.ign_deploy.probe.GatewayHook"
# Of the SDK, what a hook has to be.
STUBS = {
    "gateway.model.GatewayContext": "public interface GatewayContext {}",
    "common.licensing.LicenseState": "public interface LicenseState {}",
    "gateway.model.AbstractGatewayModuleHook": f"""
        public abstract class AbstractGatewayModuleHook {{
            public abstract void setup(GatewayContext context);
            public abstract void startup({SDK}.common.licensing.LicenseState state);
            public abstract void shutdown();
        }}""",
}


def compiled(folder: Path) -> Path:
    """Compile the program and the stubs; return the folder of classes."""
    sources = [PROGRAM]
    for name, text in STUBS.items():
        package = f"{SDK}.{name.rpartition('.')[0]}"
        sources.append(folder / f"{name.rpartition('.')[2]}.java")
        sources[-1].write_text(f"package {package};\n{text}\n")
    command = ["javac", "-J-XX:TieredStopAtLevel=1", "-d", str(folder / "classes")]
    subprocess.run([*command, *map(str, sources)], check=True, timeout=120)
    return folder / "classes"


def test_java_starts_the_probe_and_only_the_last_version_lacks_its_class(tmp_path: Path) -> None:
    modules = make_probe_modules(tmp_path, line=(8, 3), now=datetime.now(UTC))
    codes = []
    for module in modules:
        assert module.findings == ()
        with Archive.open(module.path) as archive:
            codes.append([each.code for each in errors_among(check_module(archive))])
    assert codes == [[], [], ["hook-class-missing"]]
    jar = tmp_path / "probe.jar"
    with ZipFile(modules[0].path) as content:
        jar.write_bytes(content.read("probe.jar"))
    command = ["java", "-XX:TieredStopAtLevel=1", "-Xverify:all", "-cp"]
    classes = compiled(tmp_path)
    done = subprocess.run(
        [*command, f"{classes}:{jar}", "TryProbe", HOOK],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    assert done.stdout == "started\n"
