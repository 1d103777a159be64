"""A binary: its functions and their instructions, from the text that objdump makes of them."""

import re
import subprocess


class Instruction:
    """`to` and `sources` are registers written and read, flags among them; `sets` and `may_set` the flags it changes."""

    def __init__(self, at, name, operands):
        self.at, self.name, self.operands = at, name, operands
        self.to, self.sources, self.sets, self.may_set = [], [], [], []
        self.address, self.offset, self.indexed, self.shift = [], 0, False, 0  # registers; added to it; and to the base after it
        self.memory = self.loads = self.stores = self.constant = False
        self.jump = self.conditional = self.call = self.end = self.division = self.copies = False
        self.size, self.unknown, self.target, self.callee = 8, False, None, ""


def split(text):
    """Operands, at the commas that are in no brackets."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "[{") - (letter in "]}")
        if letter == "," and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts if part.strip()]


class Machine:
    """A binary, its symbols and its code."""

    def __init__(self, objdump, binary):
        self.objdump, self.binary, self.symbols, self.imports = objdump, binary, {}, {}
        for line in self.run("-t", "-C"):
            found = re.match(r"([0-9a-f]+) .{7} \.text\S*\s+([0-9a-f]+)\s+(?:\.hidden )?(.+)$", line)
            if found and int(found[2], 16):
                name = re.sub(r"::h[0-9a-f]{16}$", "", found[3])
                self.symbols.setdefault(int(found[1], 16), (name, int(found[2], 16)))
        for line in self.run("-R"):
            if found := re.match(r"([0-9a-f]+) \S+\s+(\S+)$", line):
                local = re.match(r"\*ABS\*\+0x([0-9a-f]+)", found[2])
                target = int(local[1], 16) if local else None
                self.imports[int(found[1], 16)] = target, self.name(target) if local else found[2].split("@")[0]

    def name(self, address):
        """The function that begins there."""
        return self.symbols.get(address, ("",))[0]

    def run(self, *options):
        done = subprocess.run([self.objdump, *options, self.binary], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        return done.stdout.splitlines()

    def functions(self, ending):
        """Address, name and instructions of each function whose name ends so."""
        for start, (name, size) in self.symbols.items():
            if re.search(rf"(^|\W){re.escape(ending)}$", name):
                where = f"--start-address={start}", f"--stop-address={start + size}"
                lines = self.run("-d", "--no-show-raw-insn", "-C", *self.STYLE, *where)
                found = [re.match(r"\s*([0-9a-f]+):\s+(.*)$", line) for line in lines]
                yield start, name, [self.parse(int(line[1], 16), line[2]) for line in found if line]

    def goes_to(self, i, text):
        """Where a jump or a call goes, if the text says so."""
        slot = re.search(r"\[rip.*# ([0-9a-f]+) <", text)
        if slot:
            i.target, i.callee = self.imports.get(int(slot[1], 16), (None, ""))
        elif found := re.search(r"(?:^| )([0-9a-f]+) <", text):
            i.target, i.callee = int(found[1], 16), self.name(int(found[1], 16))
        else:
            i.end = not i.call


def place(i, known):
    """The fixed place on the stack that an address names, if it does."""
    if i.indexed or not isinstance(known[i.address[0]], tuple):
        return None
    stack, base, offset = known[i.address[0]]
    # An address with an offset that only takes effect afterwards has none.
    return stack, base, offset + i.offset
