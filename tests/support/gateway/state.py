"""What a simulated gateway has and does: modules, acceptance, restarts, time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from math import inf

from tests.support.gateway.modl import Modl, stock
from tests.support.gateway.options import Options, line_of

NO_CERTIFICATE = "Certificate has not been accepted."
NO_LICENSE = "License has not been accepted."
NO_UNSIGNED = "Module is unsigned, and the gateway is not in developer mode."


@dataclass
class VirtualTime:
    """A clock (seconds) shared by a gateway and who waits for it.

    Each gateway has its own: whoever waits for one would advance the time of the others, too, also
    while their requests are under way, and what they may take would be up to chance.
    """

    seconds: float = 1000.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self) -> float:
        """Return the time."""
        with self._lock:
            return self.seconds

    def sleep(self, seconds: float) -> None:
        """Let the time pass."""
        with self._lock:
            self.seconds += seconds


class Refused(Exception):
    """The gateway says no: status and message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Misuse(Refused):
    """A rejection of what no careful client sends."""

    def __init__(self, status: int, message: str, what: str) -> None:
        super().__init__(status, message)
        self.what = what


@dataclass
class Listed:
    """A module among the healthy ones, which may be inactive or faulted."""

    modl: Modl
    state: str = "ACTIVE"
    fault: str = ""
    enabled: bool = True


@dataclass
class Staged:
    """A module that starts at the next restart; ``since`` is in gateway seconds."""

    modl: Modl
    since: float


@dataclass
class State:
    """Everything that a restart of the deployer doesn't change. Use it under ``lock``."""

    options: Options
    clock: Callable[[], float] = time.monotonic
    uploads: dict[str, Modl] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)  # file name → module id
    listed: dict[str, Listed] = field(default_factory=dict)
    staged: dict[str, Staged] = field(default_factory=dict)
    quarantined: dict[str, Modl] = field(default_factory=dict)
    removing: set[str] = field(default_factory=set)
    tasks: list[str] = field(default_factory=list)
    accepted_certificates: set[str] = field(default_factory=set)
    accepted_licenses: set[tuple[str, int]] = field(default_factory=set)
    restarts: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock)
    _goes_down: float = -inf
    _down_until: float = -inf
    _starting_until: float = -inf
    _began: float = 0.0

    def __post_init__(self) -> None:
        self._began = self.clock()
        for modl in stock():
            self.listed[modl.id] = Listed(modl)
        kept_out = Modl("com.inductiveautomation.symbol-factory", "Symbol Factory", "8.3.8")
        self.quarantined[kept_out.id] = kept_out

    # --- time -------------------------------------------------------------------------------

    def now(self) -> float:
        """Return the gateway's own seconds."""
        passed = self.clock() - self._began
        return passed / self.options.scale if self.clock is time.monotonic else passed

    def phase(self) -> str:
        """Return ``down``, ``starting`` or ``running``."""
        now = self.now()
        if now < self._goes_down:
            return "running"
        if now < self._down_until:
            return "down"
        return "starting" if now < self._starting_until else "running"

    def restart(self) -> None:
        """Go down; what waited for the restart has happened when the gateway is back."""
        options = self.options
        self.restarts += 1
        self._goes_down = self.now() + options.going_down_seconds
        down = inf if options.never_back == "down" else options.down_seconds
        starting = inf if options.never_back == "starting" else options.starting_seconds
        self._down_until = self._goes_down + down
        self._starting_until = self._down_until + starting
        self._start_modules()

    def come_back(self) -> None:
        """End a restart at once, as someone at the machine would."""
        self._goes_down = self._down_until = self._starting_until = -inf

    # --- modules ----------------------------------------------------------------------------

    def put(self, modl: Modl, *, state: str = "ACTIVE") -> None:
        """Have a module, accepted and in that state, as if it had always been there."""
        self._accept_all(modl)
        self.listed[modl.id] = Listed(modl, state)
        self.files[modl.file_name or f"{modl.id}.modl"] = modl.id

    def upload(self, modl: Modl) -> Modl:
        self._require_changes()
        if line_of(modl.requires) != self.options.line:
            raise Refused(
                400,
                f"{modl.name} requires Ignition {modl.requires}; "
                f"this gateway is {self.options.version}",
            )
        owner = self.files.get(modl.file_name)
        if owner is not None and owner != modl.id:
            raise Refused(400, f"{modl.file_name} is the module {owner}")
        self.files[modl.file_name] = modl.id
        self.uploads[modl.id] = modl
        return modl

    def find(self, module_id: str) -> Modl:
        """Return what acceptance is about: what was uploaded last, or else is kept out."""
        staged = self.staged.get(module_id)
        found = (
            self.uploads.get(module_id)
            or self.quarantined.get(module_id)
            or (staged.modl if staged else None)
            or (self.listed[module_id].modl if module_id in self.listed else None)
        )
        if found is None:
            raise Refused(404, f"there is no module {module_id}")
        return found

    def accept_certificate(self, module_id: str) -> None:
        self._require_changes()
        modl = self.find(module_id)
        if modl.fingerprint in self.accepted_certificates:
            raise Refused(409, "the certificate is already accepted")
        self.accepted_certificates.add(modl.fingerprint)
        self._release(module_id)

    def accept_license(self, module_id: str) -> None:
        self._require_changes()
        modl = self.find(module_id)
        if modl.eula_crc is None:
            raise Refused(400, f"{module_id} has no licence")
        if (modl.id, modl.eula_crc) in self.accepted_licenses:
            raise Refused(409, "the licence is already accepted")
        self.accepted_licenses.add((modl.id, modl.eula_crc))
        self._release(module_id)

    def install(self, module_id: str) -> Modl:
        self._require_changes()
        modl = self.uploads.pop(module_id, None)
        if modl is None:
            raise Refused(400, f"{module_id} has not been uploaded")
        modl = self.options.installs_as.get(module_id, modl)
        self.removing.discard(module_id)
        if self.obstacle(modl):
            self.quarantined[module_id] = modl
            return modl
        self._stage(modl)
        return modl

    def uninstall(self, module_ids: Iterable[str]) -> None:
        self._require_changes()
        for module_id in module_ids:
            if module_id not in self.listed and module_id not in self.quarantined:
                raise Refused(400, f"there is no module {module_id}")
            self.removing.add(module_id)
            self._task(f"Module Uninstalled: {module_id}")

    def toggle(self, *, enable: Iterable[str], disable: Iterable[str]) -> dict[str, list[str]]:
        """Return the modules that couldn't be switched."""
        self._require_changes()
        failed: dict[str, list[str]] = {"enable": [], "disable": []}
        for key, ids in (("enable", enable), ("disable", disable)):
            for module_id in ids:
                listed = self.listed.get(module_id)
                if listed is None:
                    failed[key].append(module_id)
                    continue
                listed.enabled = key == "enable"
                self._task(f"Module {key.capitalize()}d: {module_id}")
        return failed

    def load_at_once(self, modl: Modl) -> None:
        """Load a module as the servlet for developers does."""
        self._accept_all(modl)
        self.files[modl.file_name or f"{modl.id}.modl"] = modl.id
        self.listed[modl.id] = Listed(modl)
        self._start(self.listed[modl.id])

    def should_upgrade(self, module_id: str) -> bool:
        """Return whether a listing shows that another version is waiting; it takes a moment."""
        staged = self.staged.get(module_id)
        if staged is None or self.listed[module_id].modl == staged.modl:
            return False
        return self.now() - staged.since >= self.options.notice_seconds

    def obstacle(self, modl: Modl) -> str:
        """Return why the module is kept out, empty when it isn't."""
        if not modl.is_signed and not self.options.allow_unsigned:
            return NO_UNSIGNED
        if modl.fingerprint not in self.accepted_certificates:
            return NO_CERTIFICATE
        if not self.accepts_license(modl):
            return NO_LICENSE
        return ""

    def accepts_license(self, modl: Modl) -> bool:
        return modl.eula_crc is None or (modl.id, modl.eula_crc) in self.accepted_licenses

    # --- inside -----------------------------------------------------------------------------

    def _accept_all(self, modl: Modl) -> None:
        self.accepted_certificates.add(modl.fingerprint)
        if modl.eula_crc is not None:
            self.accepted_licenses.add((modl.id, modl.eula_crc))

    def _release(self, module_id: str) -> None:
        """Let a module out of quarantine once nothing keeps it there."""
        kept_out = self.quarantined.get(module_id)
        if kept_out is not None and not self.obstacle(kept_out):
            del self.quarantined[module_id]
            self._stage(kept_out)

    def _stage(self, modl: Modl) -> None:
        self.staged[modl.id] = Staged(modl, self.now())
        self.quarantined.pop(modl.id, None)
        if modl.id in self.listed:
            self._task(f"Module Upgraded: {modl.id}")
            return
        self.listed[modl.id] = Listed(modl, "INACTIVE")
        self._task(f"Module Installed: {modl.id}")

    def _task(self, text: str) -> None:
        if text not in self.tasks:
            self.tasks.append(text)

    def _require_changes(self) -> None:
        if "backup" in self.options.redundancy_role.lower():
            raise Refused(400, "this gateway is a redundant backup; change the primary")

    def _start_modules(self) -> None:
        for module_id in self.removing:
            self.listed.pop(module_id, None)
            self.staged.pop(module_id, None)
            self.quarantined.pop(module_id, None)
            self.files = {name: each for name, each in self.files.items() if each != module_id}
        for module_id, staged in self.staged.items():
            self.listed[module_id] = replace(
                self.listed.get(module_id, Listed(staged.modl)), modl=staged.modl
            )
        self.removing.clear()
        self.staged.clear()
        self.tasks.clear()
        for listed in self.listed.values():
            reason = "" if listed.modl in stock() else self.obstacle(listed.modl)
            if reason:
                self.quarantined[listed.modl.id] = listed.modl
            self._start(listed)
        # The file of a quarantined module has replaced the file that ran.
        self.listed = {key: self.listed[key] for key in self.listed if key not in self.quarantined}
        if self.options.recommissions_unsigned and self._runs_unsigned():
            self.options.commissioning = True

    def _runs_unsigned(self) -> bool:
        ours = {modl.id for modl in stock()}
        return any(
            not each.modl.is_signed for each in self.listed.values() if each.modl.id not in ours
        )

    def _start(self, listed: Listed) -> None:
        fault = self.options.faults.get(listed.modl.id)
        missing = [each for each in listed.modl.depends if each not in self.listed]
        listed.fault = ""
        if not listed.enabled:
            listed.state = "INACTIVE"
        elif missing:
            listed.state, listed.fault = "FAULTED", f"Missing dependency: {missing[0]}"
        elif listed.modl.missing_hook:
            cause = f"java.lang.ClassNotFoundException: {listed.modl.missing_hook}"
            listed.state, listed.fault = "FAULTED", cause
        elif fault is not None and fault.version in ("", listed.modl.version):
            listed.state, listed.fault = "FAULTED", fault.cause
        else:
            listed.state = "ACTIVE"
