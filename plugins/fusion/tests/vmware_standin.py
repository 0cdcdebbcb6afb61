"""Stands in for VMware's programs vmrun and vmware-vdiskmanager: the tests install programs of those names that call it.

It keeps its state on disk, beside those programs in `state/`, and behaves as the real ones are documented to: what it
prints, its exit codes, errors on standard output, locks, a running machine that writes its .vmx anew when it stops.
`state/world.json` says what kind of VMware this is and which calls go wrong. It reads .vmx files with a parser of its own,
so that what the driver writes is judged by other eyes. Standard library only, imports kept few: it is started hundreds of
times.
"""

import fcntl
import json
import os
import re
import sys
import time
from pathlib import Path

STATE = Path(sys.argv[0]).parent / "state"
RUNNING = STATE / "running"
CLONING = STATE / "cloning"
GIB = 1024**3


class Refused(Exception):
    """What the program says after `Error: `."""


# --- the world -----------------------------------------------------------------------------------------------------


class World:
    """Read and changed under a lock: many of these programs run at once."""

    def __enter__(self):
        self.lock = (STATE / "lock").open("a")
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        self.data = json.loads((STATE / "world.json").read_text())
        return self

    def __exit__(self, *_):
        (STATE / "world.json.new").write_text(json.dumps(self.data))
        (STATE / "world.json.new").replace(STATE / "world.json")
        self.lock.close()


def take_fault(verb, text):
    """The fault that is laid on this call, if any; it wears off."""
    with World() as world:
        for fault in world.data["faults"]:
            if fault["verb"] == verb and fault["contains"] in text and fault["times"] > 0:
                fault["times"] -= 1
                return fault
        return None


def setting(name):
    with World() as world:
        return world.data[name]


def note_call(program, verb, argv, begun):
    umask = os.umask(0)
    call = {
        "program": program,
        "verb": verb,
        "argv": argv,
        "environment": sorted(os.environ),
        "umask": umask,
        "begun": begun,
        "ended": time.monotonic(),
    }
    with (STATE / "calls.jsonl").open("a") as calls:
        calls.write(json.dumps(call) + "\n")


# --- .vmx ----------------------------------------------------------------------------------------------------------


def load_vmx(path):
    """Settings by lower-case name, as VMware reads them: a repeated one makes the file unreadable."""
    try:
        data = Path(path).read_bytes().removeprefix(b"\xef\xbb\xbf")
    except OSError:
        raise Refused(f"Cannot open VM: {path}, The virtual machine cannot be found") from None
    raw = {}
    for line in data.split(b"\n"):
        found = re.match(rb'\s*([^\s=#]+)\s*=\s*(?:"([^"]*)"|([^\s#]*))\s*(#.*)?\r?$', line)
        if found:
            name = found[1].lower().decode()
            if name in raw:
                raise Refused(f"Cannot open VM: {path}, Cannot read the virtual machine configuration file")
            value = found[2] if found[2] is not None else found[3]
            raw[name] = re.sub(rb"\|([0-9A-Fa-f]{2})", lambda m: bytes([int(m[1], 16)]), value)
    encoding = raw.get(".encoding", b"UTF-8").decode()
    return {name: value.decode(encoding) for name, value in raw.items()}


def dump_vmx(path, settings):
    encoding = settings.get(".encoding", "UTF-8")
    lines = [f'.encoding = "{encoding}"\n'.encode()]
    for name, value in settings.items():
        if name != ".encoding":
            escaped = re.sub(rb'["|\x00-\x08\x0a-\x1f\x7f]', lambda m: b"|%02X" % m[0][0], value.encode(encoding))
            lines.append(name.encode() + b' = "' + escaped + b'"\n')
    beside = Path(f"{path}.tmp{os.getpid()}")
    beside.write_bytes(b"".join(lines))
    beside.replace(path)


def disk_files(settings, folder):
    for name, value in settings.items():
        disk = re.fullmatch(r"(scsi|nvme|sata|ide)\d+:\d+\.filename", name) and value.endswith(".vmdk")
        if disk and settings.get(name.replace("filename", "present"), "").upper() == "TRUE":
            yield name, folder / value


def write_disk(path, sectors, parent=None):
    """`parent` as the disk remembers it: by its name in the same folder, or by its path."""
    extent = path.with_name(f"{path.stem}-s001.vmdk")
    extent.write_bytes(b"KDMV" + os.urandom(60))
    below = f'parentFileNameHint="{parent}"\n' if parent else ""
    cid = f"parentCID={content_id(path.parent / parent) if parent else 'ffffffff'}"
    path.write_text(
        f'# Disk DescriptorFile\nversion=1\nencoding="UTF-8"\nCID={os.urandom(4).hex()}\n{cid}\n'
        f'isNativeSnapshot="no"\ncreateType="twoGbMaxExtentSparse"\n{below}\n# Extent description\n'
        f'RW {sectors} SPARSE "{extent.name}"\n\n# The Disk Data Base\n#DDB\nddb.adapterType = "lsilogic"\n'
    )


def content_id(path):
    return re.search(r"^CID=(.*)$", path.read_text(), re.MULTILINE)[1]


def check_disk(path):
    """A disk is of use as long as all those are there, unchanged, that it builds on."""
    if not path.exists():
        raise Refused("The virtual disk could not be found")
    text = path.read_text()
    below = re.search(r'^parentFileNameHint="(.*)"$', text, re.MULTILINE)
    if below:
        check_disk(path.parent / below[1])
        if f"parentCID={content_id(path.parent / below[1])}\n" not in text:
            raise Refused("The parent virtual disk has been modified since the child was created")


def disk_sectors(path):
    return sum(map(int, re.findall(r"^RW (\d+) ", path.read_text(), re.MULTILINE)))


# --- running machines ----------------------------------------------------------------------------------------------


def record(path):
    return RUNNING / f"{os.path.realpath(path).encode().hex()[-200:]}.json"


def running(path):
    try:
        return json.loads(record(path).read_text())
    except FileNotFoundError:
        return None


def must_run(path):
    machine = running(path)
    if machine is None:
        load_vmx(path)
        raise Refused(f"The virtual machine is not powered on: {path}")
    return machine


def save(machine):
    target = record(machine["path"])
    beside = target.with_suffix(f".{os.getpid()}")
    beside.write_text(json.dumps(machine))
    beside.replace(target)


def boot(path, settings):
    """What a guest does once it has an address; `address` of the world says how that goes wrong."""
    with World() as world:
        number = world.data["next_address"]
        world.data["next_address"] += 1
        kind, leases = world.data["address"], world.data["leases"]
        address = f"{world.data['network']}.{number}"
    machine = {"path": str(path), "config": settings, "original": dict(settings), "guest": {}, "pid": None}
    if kind == "bridge":
        machine["guest"]["local-ipv4"] = "172.18.0.1"
    elif kind != "none":
        machine["guest"]["local-ipv4"] = address
    if kind in ("now", "bridge"):
        card = settings.get("ethernet0.address") or settings.get("ethernet0.generatedaddress", "")
        with Path(leases).open("a") as file:
            file.write(
                f"lease {address} {{\n\tstarts 2 2026/11/17 09:12:44;\n\tends 2 2026/11/17 09:42:44;\n"
                f"\thardware ethernet {card};\n}}\n"
            )
    return machine


# --- vmrun's verbs -------------------------------------------------------------------------------------------------


def verb_list():
    paths = [json.loads(file.read_text())["path"] for file in sorted(RUNNING.glob("*.json"))]
    if setting("folds_case"):
        paths = [
            path.swapcase() if path.startswith("/nowhere") else path.replace(".vmwarevm", ".VMwarevm") for path in paths
        ]
    print(f"Total running VMs: {len(paths)}")
    for path in paths:
        print(path)


def snapshots(path):
    load_vmx(path)
    index = Path(path).with_suffix(".vmsd")
    return json.loads(index.read_text()) if index.exists() else []


def verb_list_snapshots(path):
    names = [each["name"] for each in snapshots(path)]
    print(f"Total snapshots: {len(names)}")
    for name in names:
        print(name)


def verb_snapshot(path, name):
    """The present disks are frozen; the machine goes on writing to new ones above them."""
    taken, settings = snapshots(path), load_vmx(path)
    if any(each["name"] == name for each in taken):
        raise Refused("The snapshot name already exists")
    folder = Path(path).parent
    frozen = {}
    for key, file in disk_files(settings, folder):
        stem = re.sub(r"-0000[0-9]+$", "", file.stem)
        above = file.with_name(f"{stem}-{len(list(folder.glob(f'{stem}-0?????.vmdk'))) + 1:06}.vmdk")
        write_disk(above, disk_sectors(file), parent=file.name)
        frozen[key], settings[key] = file.name, above.name
    dump_vmx(path, settings)
    Path(path).with_suffix(".vmsd").write_text(json.dumps([*taken, {"name": name, "disks": frozen}]))


def verb_clone(source, destination, kind, *options):
    chosen = dict(option.lstrip("-").split("=", 1) for option in options)
    edition = setting("edition")
    if edition == "player" or (edition == "standard" and kind == "linked"):
        raise Refused("One of the parameters was invalid")
    settings = load_vmx(source)
    if any(name.startswith("encryption.") for name in settings):
        raise Refused("A password is required")
    if running(source):
        raise Refused("The file is already in use")
    if Path(destination).exists():
        raise Refused("The file already exists")
    named = [each for each in snapshots(source) if each["name"] == chosen.get("snapshot")]
    if "snapshot" in chosen and not named:
        raise Refused("Invalid snapshot name")
    if kind == "linked" and not named:
        raise Refused("One of the parameters was invalid")
    busy = CLONING / os.path.realpath(source).encode().hex()[-200:]
    try:
        busy.mkdir()
    except FileExistsError:
        raise Refused("The file is already in use") from None
    try:
        copy_machine(Path(source), Path(destination), settings, kind, named, chosen.get("cloneName", "clone"))
    finally:
        busy.rmdir()


def copy_machine(source, destination, settings, kind, named, name):
    time.sleep(setting("clone_seconds"))
    fault = take_fault("half clone", str(destination))
    destination.parent.mkdir(exist_ok=True)
    for number, (key, file) in enumerate(list(disk_files(settings, source.parent))):
        below = source.parent / named[0]["disks"][key] if named else file
        disk = destination.parent / (f"Virtual Disk-cl{number + 1}.vmdk")
        write_disk(disk, disk_sectors(below), parent=below if kind == "linked" else None)
        settings[key] = disk.name
        if fault:
            destination.write_bytes(b'.encoding = "UTF-8"\ndisplayName = "cl')
            trouble(fault)
    for card in [key for key in settings if key.endswith("generatedaddress")]:
        settings[card] = "00:0c:29:" + os.urandom(3).hex(":")
    settings["displayname"] = name
    dump_vmx(destination, settings)


def verb_start(path, window="gui"):
    settings = load_vmx(path)
    if running(path):
        raise Refused("The virtual machine should not be powered on. It is already running.")
    if locks(path):
        raise Refused("The file is already in use")
    if setting("last_umask") & 0o055:
        raise Refused("Cannot connect to the virtual machine")
    cores = int(settings.get("cpuid.corespersocket", "1"))
    if int(settings["numvcpus"]) % cores:
        raise Refused("The virtual machine cannot be powered on")
    for _, disk in disk_files(settings, Path(path).parent):
        check_disk(disk)
    if settings.get("uuid.action") == "create" or "uuid.bios" not in settings:
        settings["uuid.bios"] = os.urandom(16).hex(" ")
    machine = boot(path, settings)
    lock = Path(f"{path}.lck")
    lock.mkdir(exist_ok=True)
    (lock / "M12345.lck").write_text("")
    with Path(path).with_name("vmware.log").open("a") as log:
        log.write("2026-11-17T09:12:40.120Z In(05) vmx DICT --- CONFIGURATION " + str(path) + "\n")
        for name, value in settings.items():
            log.write(f'2026-11-17T09:12:40.121Z In(05) vmx DICT {name:>40} = "{value}"\n')
    if setting("clings"):
        machine["pid"] = os.posix_spawn("/bin/sleep", ["sleep", "60"], {})
    save(machine)
    fault = take_fault("start and lose", str(path))
    if fault:
        print("2026-11-17T09:12:40.559| ServiceImpl_Opener: PID 4119")
        trouble(fault)


def locks(path):
    lock = Path(f"{path}.lck")
    return lock.is_dir() and any(lock.iterdir())


def verb_stop(path, how="soft"):
    machine = must_run(path)
    if how == "soft" and not setting("tools"):
        raise Refused(f"The VMware Tools are not running in the virtual machine: {path}")
    held = machine["config"] if setting("keeps_changes") else machine["original"]
    if setting("close_seconds"):
        close_later(path, held)
    else:
        dump_vmx(path, held)
        for lock in Path(f"{path}.lck").glob("*"):
            lock.unlink()
        Path(f"{path}.lck").rmdir()
    if machine["pid"]:
        os.kill(machine["pid"], 9)
    record(path).unlink()


def close_later(path, settings):
    """As a machine whose process lingers when vmrun has returned already."""
    dump_vmx(f"{path}.later", settings)
    script = f'sleep {setting("close_seconds")}; mv "$0.later" "$0"; rm -r "$0.lck"'
    os.posix_spawn("/bin/sh", ["sh", "-c", script, path], os.environ)


def verb_delete(path):
    if running(path):
        raise Refused("The virtual machine should not be powered on. It is already running.")
    if locks(path):
        raise Refused("Insufficient permissions in the host operating system")
    load_vmx(path)
    for file in Path(path).parent.iterdir():
        if file.suffix in (".vmx", ".vmdk", ".vmsd", ".nvram", ".log", ".vmxf"):
            file.unlink()
    if not any(Path(path).parent.iterdir()):
        Path(path).parent.rmdir()


def verb_read(path, kind, name):
    machine = must_run(path)
    if kind == "guestVar":
        print(machine["guest"].get(name, ""))
    else:
        print(machine["config"].get(name.lower(), ""))


def verb_write(path, kind, name, value):
    machine = must_run(path)
    if kind == "guestVar":
        machine["guest"][name] = value
    else:
        machine["config"][name.lower()] = value
    save(machine)


VERBS = {
    "list": verb_list,
    "listSnapshots": verb_list_snapshots,
    "snapshot": verb_snapshot,
    "clone": verb_clone,
    "start": verb_start,
    "stop": verb_stop,
    "deleteVM": verb_delete,
    "readVariable": verb_read,
    "writeVariable": verb_write,
}


def trouble(fault):
    time.sleep(fault["seconds"])
    if fault["message"]:
        raise Refused(fault["message"])


def vmrun(arguments):
    kind, product, verb, *rest = arguments
    if (kind, product) != ("-T", setting("product")):
        raise Refused("Unable to connect to host. Invalid host type")
    if rest and not rest[0].startswith("/"):
        raise Refused("The virtual machine cannot be found")
    if verb not in VERBS:
        raise Refused(f"Unrecognized command: {verb}")
    fault = take_fault(verb, " ".join(rest))
    if fault:
        trouble(fault)
    VERBS[verb](*rest)


# --- vmware-vdiskmanager -------------------------------------------------------------------------------------------


def vdiskmanager(arguments):
    *options, file = arguments
    fault = take_fault(options[0], file)
    if fault:
        trouble(fault)
    path = Path(file)
    if options[0] == "-x":
        if "parentFileNameHint" in path.read_text():
            raise Refused("The called function cannot be performed on partial chains. Please open the parent virtual disk")
        write_disk(path, int(options[1].removesuffix("GB")) * GIB // 512)
        print("Grow: 100% done.\nDisk expansion completed successfully.")
    else:
        if path.exists():
            raise Refused("The file already exists")
        size = options[options.index("-s") + 1]
        write_disk(path, int(size.removesuffix("GB")) * GIB // 512)
        print("Creating disk\n  Create: 100% done.\nVirtual disk creation successful.")


def main():
    begun, program = time.monotonic(), Path(sys.argv[0]).name
    arguments = sys.argv[1:]
    umask = os.umask(0o022)
    os.umask(umask)
    with World() as world:
        world.data["last_umask"] = umask
    verb = arguments[2] if program == "vmrun" and len(arguments) > 2 else arguments[0]
    try:
        (vmrun if program == "vmrun" else vdiskmanager)(arguments)
    except Refused as refusal:
        print(f"Error: {refusal}" if program == "vmrun" else f"VixDiskLib: {refusal}\nFailed to do that: {refusal}")
        return 255 if program == "vmrun" else 1
    finally:
        os.umask(umask)
        note_call(program, verb, arguments, begun)
    return 0
