"""What the instructions of x86-64 and aarch64 read and write, from the text that objdump makes of them."""

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
        return subprocess.run([self.objdump, *options, self.binary], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout.splitlines()

    def functions(self, ending):
        """Address, name and instructions of each function whose name ends so."""
        for start, (name, size) in self.symbols.items():
            if re.search(rf"(^|\W){re.escape(ending)}$", name):
                lines = self.run("-d", "--no-show-raw-insn", "-C", *self.STYLE, f"--start-address={start}", f"--stop-address={start + size}")
                split_lines = [re.match(r"\s*([0-9a-f]+):\s+(.*)$", line) for line in lines]
                yield start, name, [self.parse(int(found[1], 16), found[2]) for found in split_lines if found]

    def goes_to(self, i, text):
        """Where a jump or a call goes, if the text says so."""
        slot = re.search(r"\[rip.*# ([0-9a-f]+) <", text)
        if slot:
            i.target, i.callee = self.imports.get(int(slot[1], 16), (None, ""))
        elif found := re.search(r"(?:^| )([0-9a-f]+) <", text):
            i.target, i.callee = int(found[1], 16), self.name(int(found[1], 16))
        else:
            i.end = not i.call


class X86(Machine):
    STYLE = ["-M", "intel"]
    STACK, FLAGS = "rsp", ["carry", "flags"]
    ARGUMENTS = ["rdi", "rsi", "rdx", "rcx", "r8", "r9"]
    LOST = ["rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", *FLAGS, *(f"v{n}" for n in range(32)), *(f"k{n}" for n in range(8))]
    REGISTERS = [*LOST, "rbx", "rbp", "rsp", "r12", "r13", "r14", "r15"]
    SIZES = {"BYTE": 1, "WORD": 2, "DWORD": 4, "QWORD": 8, "XMMWORD": 16, "YMMWORD": 32, "ZMMWORD": 64}
    NOTHING = re.compile(r"nop|endbr64|vzero(upper|all)$|[lms]fence")
    UNKNOWN = re.compile(r"cpuid|rdtsc|xgetbv|cmpxchg|xadd|lods|scas|cmps[bwdq]$|v?pcmp[ei]str|syscall|loop|j[re]?cxz|leave|ad[co]x|[lv]?maskmov|rd(rand|seed)")
    BOTH = re.compile(r"(add|sub|and|or|xor|not|neg|inc|dec|adc|sbb|shl|shr|sar|rol|ror|rcl|rcr|shld|shrd)$")
    COMPARES = re.compile(r"(cmp|test|bt|v?ptest|vtestp[sd]|v?u?comis[sd]|kortest.|ktest.)$")
    ONLY_TO = re.compile(r"(mov|movzx|movsxd?|movabs|movdq[au]|mov[ua]p[sd]|mov[dq]|lea|popcnt|[lt]zcnt|rorx|s[ah][lr]x|shrx|andn|bzhi|bextr|pdep|pext|pop|k.*|set.*)$")
    ACCUMULATES = re.compile(r"vf(n?m)|vpternlog|vpmadd52|vperm[ti]2|vpdp|vpsh[lr]dv")
    NO_FLAGS = re.compile(r"(mov|lea|set|cmov|push|pop$|bswap|not$|mulx|rorx|s[ah][lr]x|xchg|c[dq][qo]|cdqe|cwde|pdep|pext|k)")
    SETS = re.compile(r"(add|sub|and|or|xor|neg|adc|sbb|i?mul|cmp|test|popcnt|[lt]zcnt|andn|bls.*|bzhi|v?ptest|v?u?comis[sd]|kortest.|ktest.)$")

    def registers(self, text):
        """The names of whole registers in it."""
        found = []
        for word in re.findall(r"[a-z][a-z0-9]*", re.sub(r"0x[0-9a-f]+|<.*>", "", text)):
            if vector := re.match(r"[xyz]mm(\d+)$", word):
                found.append(f"v{vector[1]}")
            elif re.match(r"k[0-7]$|r(8|9|1[0-5])$|r(ax|bx|cx|dx|si|di|bp|sp)$", word):
                found.append(word)
            elif numbered := re.match(r"(r\d+)[dwb]$", word):
                found.append(numbered[1])
            elif old := re.match(r"e?([abcd])x$|([abcd])[lh]$", word):
                found.append(f"r{old[1] or old[2]}x")
            elif old := re.match(r"e?(si|di|bp|sp)l?$", word):
                found.append(f"r{old[1]}")
        return found

    def parse(self, at, text):
        words = text.split(" # ")[0].split()
        prefixes = []
        while re.match(r"(data16|addr32|[c-g]s|notrack|bnd|rep\w*|lock|\{e?vex\d?\})$", words[0]):
            prefixes.append(words.pop(0))
        name, rest = words[0], " ".join(words[1:])
        i = Instruction(at, name, split(rest))
        if self.NOTHING.match(name):
            return i
        i.unknown = bool(self.UNKNOWN.match(name)) or "lock" in prefixes
        if name in ("ret", "ud2", "int3", "hlt"):
            i.end = True
        elif name.startswith("j") or name == "call":
            i.jump, i.call = name != "call", name == "call"
            i.conditional = i.jump and name != "jmp"
            i.sources = self.condition(name[1:]) if i.conditional else []
            self.goes_to(i, f"{rest} #{text.partition('#')[2]}" if "#" in text else rest)
        else:
            self.find_memory(i)
            self.find_registers(i, prefixes)
            self.find_flags(i)
        return i

    @staticmethod
    def condition(code):
        if code in ("b", "c", "nae", "ae", "nb", "nc"):
            return ["carry"]
        return ["carry", "flags"] if code in ("a", "be", "na", "nbe") else ["flags"]

    def find_memory(self, i):
        for number, operand in enumerate(i.operands):
            found = re.search(r"(?:(\w+) (?:PTR|BCST) )?(?:[c-g]s:)?\[(.*)\]", operand)
            if not found:
                continue
            i.memory, i.size = i.name != "lea", self.SIZES.get(found[1], 8)
            i.address = self.registers(found[2])
            i.constant = "rip" in found[2]
            i.indexed = len(i.address) != 1
            offset = re.search(r"([+-])(0x[0-9a-f]+)$", found[2])
            i.offset = int(offset[1] + offset[2], 16) if offset else 0
            i.address += re.findall(r"k[1-7]", "".join(re.findall(r"\{(k\d)\}", "".join(i.operands))))
            first = number == 0 and not self.COMPARES.match(i.name) and i.name != "push" and not re.match(r"i?mul$|i?div$", i.name)
            i.stores = i.memory and first and not i.name.startswith("prefetch")
            i.loads = i.memory and (not first or bool(self.BOTH.match(i.name)))

    def find_registers(self, i, prefixes):
        name, operands = i.name, i.operands
        plain = [[] if "[" in operand else self.registers(operand.split("{")[0]) for operand in operands]
        masks = self.registers(" ".join(re.findall(r"\{(k\d)\}", "".join(operands))))
        first, others = (plain or [[]])[0], [register for more in plain[1:] for register in more]
        wide = not operands or not re.match(r"([abcd][xlh]|[sd]il?|[sb]pl?|r\d+[wb])$", operands[0])
        if self.COMPARES.match(name) or name == "push":
            i.sources = first + others
        elif re.match(r"(i?mul|i?div)$", name) and len(operands) == 1:
            i.division = "div" in name
            i.to, i.sources = ["rax", "rdx"], first + ["rax"] + ["rdx"] * i.division
        elif name == "mulx":
            i.to, i.sources = first + plain[1], plain[2] + ["rdx"]
        elif name == "xchg":
            i.to = i.sources = first + others
        elif re.match(r"c[dq][qo]$|cdqe|cwde", name):
            i.to, i.sources = ["rdx" if name in ("cdq", "cqo") else "rax"], ["rax"]
        elif re.match(r"(movs|stos)[bwdq]?$", name) and prefixes:
            # The bytes moved are secret or not, but where and how many is not.
            i.address, i.memory, i.stores, i.loads, i.indexed = ["rcx", "rdi", "rsi"], True, True, False, True
        else:
            only = name.startswith("v") and not self.ACCUMULATES.match(name) or self.ONLY_TO.match(name) or (name == "imul" and len(operands) == 3)
            only = only and wide and not (masks and "{z}" not in operands[0])
            i.to = first if not i.stores else []
            i.sources = others + masks + ([] if only else first)
        if found := re.match(r"(?:set|cmov)(.*)$", name):
            i.sources += self.condition(found[1])
        elif re.match(r"(adc|sbb|rcl|rcr)$", name):
            i.sources += ["carry"]
        if name == "lea":
            i.sources, i.address = i.address, i.address[:1]
        if name in ("push", "pop"):
            i.unknown = i.memory
            i.address, i.memory, i.indexed = ["rsp"], True, False
            i.stores, i.loads = name == "push", name == "pop"
            i.offset, i.shift = (-8, -8) if i.stores else (0, 8)
        i.copies = bool(re.match(r"mov(abs)?$|push|pop", name)) and wide
        same = len(operands) > 1 and len(set(operands[-2:])) == 1 and "[" not in operands[-1]
        if same and re.match(r"v?p?(xor|sub)[bwdq]?$|v?xorp[sd]$|v?pcmpeq", name):
            i.sources = []

    def find_flags(self, i):
        if re.match(r"(inc|dec)$", i.name):
            i.sets = ["flags"]
        elif self.SETS.match(i.name) or (re.match(r"sh[lr]|sar", i.name) and re.match("0x|1$", i.operands[-1])):
            i.sets = self.FLAGS
        elif not self.NO_FLAGS.match(i.name) and not any(name.startswith("v") for name in self.registers(" ".join(i.operands))):
            i.may_set = self.FLAGS

    def moved(self, i, known):
        """What a register holds that is a fixed place on the stack after this, if one does."""
        if i.name == "lea" and not i.indexed:
            return place(i, known)
        if i.name in ("add", "sub", "and") and i.to and isinstance(known[i.to[0]], tuple) and re.match("0x", i.operands[1]):
            stack, base, offset = known[i.to[0]]
            by = int(i.operands[1], 16)
            by -= (by >> 63) << 64
            return (stack, i.at, 0) if i.name == "and" else (stack, base, offset + (by if i.name == "add" else -by))
        return None


class Aarch64(Machine):
    STYLE = []
    STACK, FLAGS = "sp", ["flags"]
    ARGUMENTS = [f"x{n}" for n in range(9)]
    LOST = [*(f"x{n}" for n in range(19)), "x30", "flags", *(f"v{n}" for n in range(32))]
    REGISTERS = [*LOST, *(f"x{n}" for n in range(19, 30)), "sp"]
    NOTHING = re.compile(r"(nop|hint|bti|yield|dmb|dsb|isb|pac\w+sp|aut\w+sp)$")
    UNKNOWN = re.compile(r"(ld|st)l?a?x|ld(add|clr|set|eor|[su]m)|cas|swp|svc|m[rs][rs]$|(ld|st)ff|aes|sys|[bu]raa|ldnf")
    SETS = re.compile(r"(adds|subs|ands|bics|adcs|sbcs|negs|ngcs|cmp|cmn|tst|ccmp|ccmn|fc?cmpe?)$")
    READS = re.compile(r"f?csel|cs(et|etm|inc|inv|neg)|cinc|cinv|cneg|adcs?$|sbcs?$|ngcs?$|f?ccm")
    KEEPS = re.compile(r"(movk|bfi|bfxil|bfc|bfm)$")
    COMPARES = re.compile(r"(cmp|cmn|tst|ccmp|ccmn|fc?cmpe?)$")

    def registers(self, text):
        found = []
        text = re.sub(r"#\S+|<.*>", "", text)
        for first, last in re.findall(r"\bv(\d+)\.\w+-v(\d+)", text):
            found += [f"v{n}" for n in range(int(first) + 1, int(last))]
        for word in re.findall(r"\b[a-z]+\d*\b", text):
            if number := re.match(r"([xwvqdshb])(\d+)$", word):
                found.append(("x" if number[1] in "xw" else "v") + number[2])
            elif word in ("sp", "wsp"):
                found.append("sp")
        return found

    def parse(self, at, text):
        name, _, rest = text.split("//")[0].strip().replace("\t", " ").partition(" ")
        i = Instruction(at, name, split(rest.split(" <")[0]))
        if self.NOTHING.match(name):
            return i
        i.unknown = bool(self.UNKNOWN.match(name)) and not re.match(r"ldar|stlr|ldset?$", name)
        if name in ("ret", "brk", "udf", "retaa"):
            i.end = True
        elif re.match(r"(b|bl|br|blr|b\.\w+|t?cbn?z|tbn?z)$", name):
            i.call, i.conditional = name in ("bl", "blr"), name not in ("b", "bl", "br", "blr")
            i.jump = not i.call
            i.sources = ["flags"] if name.startswith("b.") else self.registers(i.operands[0]) if i.conditional else []
            self.goes_to(i, rest)
        else:
            self.find_memory(i)
            self.find_registers(i)
            i.sets = self.FLAGS if self.SETS.match(name) else []
        return i

    def find_memory(self, i):
        where = [number for number, operand in enumerate(i.operands) if operand.startswith("[")]
        if not where:
            return
        operand, after = i.operands[where[0]], i.operands[where[0] + 1 :]
        i.memory, i.stores = True, i.name.startswith("st")
        i.loads = i.name.startswith("ld")
        i.address = self.registers(operand + " " + " ".join(after))
        i.indexed = len(i.address) != 1
        number = re.search(r"#(-?(?:0x)?[0-9a-f]+)\]", operand)
        i.offset = int(number[1], 0) if number else 0
        if operand.endswith("!"):
            i.shift = i.offset
        elif after and after[0].startswith("#"):
            i.shift = int(after[0][1:], 0)
        named = " ".join(i.operands[: where[0]])
        width = {"x": 8, "w": 4, "q": 16, "d": 8, "s": 4, "h": 2, "b": 1, "v": 16, "{": 16}[named[0]]
        width = {"b": 1, "h": 2}.get(i.name[-1], width) if re.match(r"(ld|st)u?r", i.name) else width
        width = 4 if i.name.endswith("sw") else width
        i.size = width * len(self.registers(named)) if i.name[2] in "pn1234" else width

    def find_registers(self, i):
        before = [o for o in i.operands[: next((n for n, o in enumerate(i.operands) if o.startswith("[")), None)]]
        found = [self.registers(operand) for operand in before]
        every = [register for more in found for register in more]
        if i.stores or self.COMPARES.match(i.name) or i.name.startswith("prf"):
            i.sources = every if not i.name.startswith("prf") else []
        elif i.loads:
            i.to = every
            i.sources = every if re.search(r"\}\[", " ".join(before)) else []
        else:
            i.to, i.sources = found[0][:1] if found else [], [register for more in found[1:] for register in more]
            whole = re.match(r"(fmov|movi|mvni|dup)$", i.name) or (i.name == "mov" and not re.search(r"\[\d+\]", before[0]))
            if self.KEEPS.match(i.name) or (i.to and i.to[0].startswith("v") and not whole):
                i.sources += i.to
        i.sources = i.sources + (["flags"] if self.READS.match(i.name) else [])
        i.division = i.name in ("udiv", "sdiv")
        i.copies = i.name in ("mov", "ldr", "str", "ldur", "stur", "stp", "ldp") and i.size >= 8
        if i.name == "eor" and len(set(before[1:])) == 1 and len(before) == 3:
            i.sources = []

    def moved(self, i, known):
        if i.name in ("add", "sub") and len(i.operands) > 2 and i.operands[2].startswith("#") and i.sources and isinstance(known[i.sources[0]], tuple):
            stack, base, offset = known[i.sources[0]]
            by = int(i.operands[2][1:], 0) << (12 if i.operands[3:] == ["lsl #12"] else 0)
            return stack, base, offset + (by if i.name == "add" else -by)
        if i.name == "and" and i.to == ["sp"]:
            return "stack", i.at, 0
        return None


def place(i, known):
    """The fixed place on the stack that an address names, if it does."""
    if i.indexed or not isinstance(known[i.address[0]], tuple):
        return None
    stack, base, offset = known[i.address[0]]
    # An address with an offset that only takes effect afterwards has none.
    return stack, base, offset + i.offset


MACHINES = {"x86_64": X86, "aarch64": Aarch64}
