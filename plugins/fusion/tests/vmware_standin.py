"""Stands in for VMware's programs vmrun and vmware-vdiskmanager: the tests install programs of those names that call it.

It keeps its state on disk, beside those programs in `state/`, and behaves as the real ones are documented to: what it
prints, its exit codes, errors on standard output, locks, a running machine that writes its .vmx anew when it stops.
`state/world` says what kind of VMware this is and which calls go wrong. It reads .vmx files with a parser of its own,
so that what the driver writes is judged by other eyes.

It is started a thousand times and more. So it imports next to nothing: json, pathlib and re would double what each start
takes. Its state is written as Python's own literals instead.
"""

import fcntl
import os
import sys
import time

STATE = os.path.join(os.path.dirname(sys.argv[0]), "state")
RUNNING = os.path.join(STATE, "running")
CLONING = os.path.join(STATE, "cloning")
GIB = 1024**3
DIGITS = "0123456789"
HEX_DIGITS = b"0123456789abcdefABCDEF"
ESCAPED = b'|"' + bytes(set(range(32)) - {9}) + b"\x7f"
"""What a .vmx cannot hold as it is; the mark of escapes first."""

NO_MEMORY = "Not enough physical memory is available to power on this virtual machine with its configured settings."


class Refused(Exception):
    """What the program says after `Error: `."""


# --- files ---------------------------------------------------------------------------------------------------------


def read(path):
    with open(path) as file:
        return file.read()


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


def load(path):
    """A value as `store` wrote it. Only tests and this program write there."""
    return eval(read(path))


def store(path, value, beside):
    """By way of a file `beside`: whoever reads finds the old value or the new one."""
    write(beside, ascii(value))
    os.replace(beside, path)


def stem(path):
    return os.path.splitext(os.path.basename(path))[0]


def with_suffix(path, suffix):
    return os.path.splitext(path)[0] + suffix


# --- the world -----------------------------------------------------------------------------------------------------


class World:
    """Read and changed under a lock: many of these programs run at once."""

    def __enter__(self):
        self.lock = open(f"{STATE}/lock", "a")
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        self.data = load(f"{STATE}/world")
        return self

    def __exit__(self, *_):
        store(f"{STATE}/world", self.data, f"{STATE}/world.new")
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
    with open(f"{STATE}/calls", "a") as calls:
        calls.write(ascii(call) + "\n")


# --- .vmx ----------------------------------------------------------------------------------------------------------


def load_vmx(path):
    """Settings by lower-case name, as VMware reads them: a repeated one makes the file unreadable."""
    try:
        with open(path, "rb") as file:
            data = file.read().removeprefix(b"\xef\xbb\xbf")
    except OSError:
        raise Refused(f"Cannot open VM: {path}, The virtual machine cannot be found") from None
    raw = {}
    for line in data.split(b"\n"):
        name, value = vmx_entry(line)
        if name in raw:
            raise Refused(f"Cannot open VM: {path}, Cannot read the virtual machine configuration file")
        if name:
            raw[name] = unescaped(value)
    encoding = raw.get(".encoding", b"UTF-8").decode()
    return {name: value.decode(encoding) for name, value in raw.items()}


def vmx_entry(line):
    """`name = "value" # comment`, with quotes or without; an empty name for any other line."""
    name, equals, rest = (part.strip() for part in line.partition(b"="))
    if equals and name and b"#" not in name and len(name.split()) == 1:
        for value, comment in vmx_values(rest):
            if not comment or comment.startswith(b"#"):
                return name.lower().decode(), value
    return "", b""


def vmx_values(rest):
    """As it may be read: the value, and what follows it."""
    if rest.startswith(b'"') and b'"' in rest[1:]:
        value, _, comment = rest[1:].partition(b'"')
        yield value, comment.strip()
    value = (rest.partition(b"#")[0].split(maxsplit=1) or [b""])[0]
    yield value, rest[len(value) :].strip()


def unescaped(value):
    first, *parts = value.split(b"|")
    return first + b"".join(map(after_bar, parts))


def after_bar(part):
    code = part[:2]
    if len(code) == 2 and all(digit in HEX_DIGITS for digit in code):
        return bytes([int(code, 16)]) + part[2:]
    return b"|" + part


def escaped(value):
    for code in ESCAPED:
        value = value.replace(bytes([code]), b"|%02X" % code)
    return value


def dump_vmx(path, settings):
    encoding = settings.get(".encoding", "UTF-8")
    lines = [f'.encoding = "{encoding}"\n'.encode()]
    for name, value in settings.items():
        if name != ".encoding":
            lines.append(name.encode() + b' = "' + escaped(value.encode(encoding)) + b'"\n')
    beside = f"{path}.tmp{os.getpid()}"
    with open(beside, "wb") as file:
        file.write(b"".join(lines))
    os.replace(beside, path)


def disk_files(settings, folder):
    for name, value in settings.items():
        disk = is_disk(name) and value.endswith(".vmdk")
        if disk and settings.get(name.replace("filename", "present"), "").upper() == "TRUE":
            yield name, os.path.join(folder, value)


def is_disk(name):
    """`scsi0:1.filename` and the like."""
    place, _, what = name.partition(".")
    controller, _, number = place.partition(":")
    bus = controller.rstrip(DIGITS)
    return bus in ("scsi", "nvme", "sata", "ide") and bus != controller and number.isdecimal() and what == "filename"


def write_disk(path, sectors, parent=None):
    """`parent` as the disk remembers it: by its name in the same folder, or by its path."""
    extent = f"{stem(path)}-s001.vmdk"
    folder = os.path.dirname(path)
    with open(os.path.join(folder, extent), "wb") as file:
        file.write(b"KDMV" + os.urandom(60))
    below = f'parentFileNameHint="{parent}"\n' if parent else ""
    cid = f"parentCID={content_id(os.path.join(folder, parent)) if parent else 'ffffffff'}"
    write(
        path,
        f'# Disk DescriptorFile\nversion=1\nencoding="UTF-8"\nCID={os.urandom(4).hex()}\n{cid}\n'
        f'isNativeSnapshot="no"\ncreateType="twoGbMaxExtentSparse"\n{below}\n# Extent description\n'
        f'RW {sectors} SPARSE "{extent}"\n\n# The Disk Data Base\n#DDB\nddb.adapterType = "lsilogic"\n',
    )


def content_id(path):
    return disk_entry(read(path), "CID")


def disk_entry(text, name):
    """None where the disk says nothing of it."""
    values = [line.removeprefix(f"{name}=") for line in text.split("\n") if line.startswith(f"{name}=")]
    return values[0] if values else None


def check_disk(path):
    """A disk is of use as long as all those are there, unchanged, that it builds on."""
    if not os.path.exists(path):
        raise Refused("The virtual disk could not be found")
    text = read(path)
    hint = disk_entry(text, "parentFileNameHint")
    if hint:
        below = os.path.join(os.path.dirname(path), hint[1:-1])
        check_disk(below)
        if disk_entry(text, "parentCID") != content_id(below):
            raise Refused("The parent virtual disk has been modified since the child was created")


def disk_sectors(path):
    return sum(int(line.split()[1]) for line in read(path).split("\n") if line.startswith("RW "))


# --- running machines ----------------------------------------------------------------------------------------------


def record(path):
    return f"{RUNNING}/{os.path.realpath(path).encode().hex()[-200:]}.machine"


def running(path):
    return held(record(path))


def held(record):
    """None where the machine does not run: it may have stopped a moment ago."""
    try:
        return load(record)
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
    store(target, machine, with_suffix(target, f".{os.getpid()}"))


def boot(path, settings):
    """What a guest does once it has an address; `address` of the world says how that goes wrong."""
    with World() as world:
        number = world.data["next_address"]
        world.data["next_address"] += 1
        kind, leases = world.data["address"], world.data["leases"]
        address = f"{world.data['network']}.{number}"
    # What a guest may ask for begins as the configuration has it; what it sets itself goes with its power.
    guest = {name.removeprefix("guestinfo."): value for name, value in settings.items() if name.startswith("guestinfo.")}
    machine = {"path": path, "config": settings, "original": dict(settings), "guest": guest, "pid": None}
    if kind == "bridge":
        machine["guest"]["local-ipv4"] = "172.18.0.1"
    elif kind != "none":
        machine["guest"]["local-ipv4"] = address
    if kind in ("now", "bridge"):
        card = settings.get("ethernet0.address") or settings.get("ethernet0.generatedaddress", "")
        with open(leases, "a") as file:
            file.write(
                f"lease {address} {{\n\tstarts 2 2026/11/17 09:12:44;\n\tends 2 2026/11/17 09:42:44;\n"
                f"\thardware ethernet {card};\n}}\n"
            )
    return machine


# --- vmrun's verbs -------------------------------------------------------------------------------------------------


def verb_list():
    records = [f"{RUNNING}/{name}" for name in sorted(os.listdir(RUNNING)) if name.endswith(".machine")]
    paths = [machine["path"] for machine in map(held, records) if machine]
    if setting("folds_case"):
        paths = [
            path.swapcase() if path.startswith("/nowhere") else path.replace(".vmwarevm", ".VMwarevm") for path in paths
        ]
    print(f"Total running VMs: {len(paths)}")
    for path in paths:
        print(path)


def snapshots(path):
    load_vmx(path)
    index = with_suffix(path, ".vmsd")
    return load(index) if os.path.exists(index) else []


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
    folder = os.path.dirname(path)
    frozen = {}
    for key, file in disk_files(settings, folder):
        above = f"{next_disk(folder, stem(file))}.vmdk"
        frozen[key], settings[key] = os.path.basename(file), above
        write_disk(os.path.join(folder, above), disk_sectors(file), parent=frozen[key])
    dump_vmx(path, settings)
    write(with_suffix(path, ".vmsd"), ascii([*taken, {"name": name, "disks": frozen}]))


def next_disk(folder, name):
    """After `disk` comes `disk-000001`, after that `disk-000002`."""
    first, _, number = name.rpartition("-")
    lowest = first if len(number) == 6 and number.isdecimal() else name
    above = [
        file for file in os.listdir(folder) if file.startswith(f"{lowest}-0") and len(file) == len(f"{lowest}-000001.vmdk")
    ]
    return f"{lowest}-{len(above) + 1:06}"


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
    if os.path.exists(destination):
        raise Refused("The file already exists")
    named = [each for each in snapshots(source) if each["name"] == chosen.get("snapshot")]
    if "snapshot" in chosen and not named:
        raise Refused("Invalid snapshot name")
    if kind == "linked" and not named:
        raise Refused("One of the parameters was invalid")
    busy = f"{CLONING}/{os.path.realpath(source).encode().hex()[-200:]}"
    try:
        os.mkdir(busy)
    except FileExistsError:
        raise Refused("The file is already in use") from None
    try:
        copy_machine(source, destination, settings, kind, named, chosen.get("cloneName", "clone"))
    finally:
        os.rmdir(busy)


def copy_machine(source, destination, settings, kind, named, name):
    time.sleep(setting("clone_seconds"))
    fault = take_fault("half clone", destination)
    folder, original = os.path.dirname(destination), os.path.dirname(source)
    if not os.path.isdir(folder):
        os.mkdir(folder)
    for number, (key, file) in enumerate(list(disk_files(settings, original))):
        below = os.path.join(original, named[0]["disks"][key]) if named else file
        settings[key] = f"Virtual Disk-cl{number + 1}.vmdk"
        write_disk(os.path.join(folder, settings[key]), disk_sectors(below), parent=below if kind == "linked" else None)
        if fault:
            write(destination, '.encoding = "UTF-8"\ndisplayName = "cl')
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
    for _, disk in disk_files(settings, os.path.dirname(path)):
        check_disk(disk)
    if settings.get("uuid.action") == "create" or "uuid.bios" not in settings:
        settings["uuid.bios"] = os.urandom(16).hex(" ")
    begin_log(path)
    size, memory = int(settings["memsize"]), setting("memory_mib")
    if memory and size > memory:
        log(path, "Msg_Hint: msg.cpuid.old (sent)", "[msg.cpuid.old] The processor is old.")
        log(path, "Msg_Question:", "[msg.hostmem.noPower] " + NO_MEMORY, "[msg.button.cancel] Cancel")
        log(path, "Msg_Post: Error", "[msg.moduletable.powerOnFailed] Module 'MainMem' power on failed.")
        raise Refused("The operation was canceled")
    machine = boot(path, settings)
    if not os.path.isdir(f"{path}.lck"):
        os.mkdir(f"{path}.lck")
    write(f"{path}.lck/M12345.lck", "")
    log(path, f"DICT --- CONFIGURATION {path}", *(f'DICT {name:>40} = "{value}"' for name, value in settings.items()))
    if setting("clings"):
        machine["pid"] = os.posix_spawn("/bin/sleep", ["sleep", "600"], {})
    save(machine)
    fault = take_fault("start and lose", path)
    if fault:
        print("2026-11-17T09:12:40.559| ServiceImpl_Opener: PID 4119")
        trouble(fault)


def begin_log(path):
    file = log_file(path)
    if os.path.exists(file):
        os.replace(file, file.replace("vmware.log", "vmware-0.log"))
    now = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
    write(file, f"{now}.120Z In(05) vmx Log for VMware Workstation pid=4119 version=17.6.1\n")


def log_file(path):
    return os.path.join(os.path.dirname(path), "vmware.log")


def log(path, *lines):
    with open(log_file(path), "a") as file:
        for line in lines:
            file.write(f"2026-11-17T09:12:40.120Z In(05) vmx {line}\n")


def locks(path):
    lock = f"{path}.lck"
    return os.path.isdir(lock) and os.listdir(lock) != []


def verb_stop(path, how="soft"):
    machine = must_run(path)
    if how == "soft" and not setting("tools"):
        raise Refused(f"The VMware Tools are not running in the virtual machine: {path}")
    held = machine["config"] if setting("keeps_changes") else machine["original"]
    if setting("close_seconds"):
        close_later(path, held)
    else:
        dump_vmx(path, held)
        for lock in os.listdir(f"{path}.lck"):
            os.unlink(f"{path}.lck/{lock}")
        os.rmdir(f"{path}.lck")
    if machine["pid"]:
        os.kill(machine["pid"], 9)
    os.unlink(record(path))


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
    folder = os.path.dirname(path)
    for _, disk in disk_files(load_vmx(path), folder):
        delete_disk(disk)
    for file in os.listdir(folder):
        if file.endswith((".vmx", ".vmdk", ".vmsd", ".nvram", ".log", ".vmxf")):
            os.unlink(os.path.join(folder, file))
    if not os.listdir(folder):
        os.rmdir(folder)


def delete_disk(path):
    """With all of its parts, wherever it lies; what it builds on stays."""
    if os.path.exists(path):
        for line in read(path).split("\n"):
            if line.startswith("RW "):
                os.unlink(os.path.join(os.path.dirname(path), line.split('"')[1]))
        os.unlink(path)


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
    for stream, lines in setting("noise").items():
        print(lines, end="", file=getattr(sys, stream))
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
    if options[0] == "-x":
        if "parentFileNameHint" in read(file):
            raise Refused("The called function cannot be performed on partial chains. Please open the parent virtual disk")
        write_disk(file, int(options[1].removesuffix("GB")) * GIB // 512)
        print("Grow: 100% done.\nDisk expansion completed successfully.")
    else:
        if os.path.exists(file):
            raise Refused("The file already exists")
        size = options[options.index("-s") + 1]
        write_disk(file, int(size.removesuffix("GB")) * GIB // 512)
        print("Creating disk\n  Create: 100% done.\nVirtual disk creation successful.")


def main():
    begun, program = time.monotonic(), os.path.basename(sys.argv[0])
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


def leave(code):
    """Without tidying up the interpreter, which takes longer than most calls."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
