"""What the instructions of x86-64 read and write."""

import re

from binary import Instruction, Machine, place, split


class X86(Machine):
    STYLE = ["-M", "intel"]
    STACK, FLAGS = "rsp", ["carry", "flags"]
    ARGUMENTS = ["rdi", "rsi", "rdx", "rcx", "r8", "r9"]
    LOST = ["rax", *ARGUMENTS, "r10", "r11", *FLAGS, *(f"v{n}" for n in range(32)), *(f"k{n}" for n in range(8))]
    REGISTERS = [*LOST, "rbx", "rbp", "rsp", "r12", "r13", "r14", "r15"]
    SIZES = {"BYTE": 1, "WORD": 2, "DWORD": 4, "QWORD": 8, "XMMWORD": 16, "YMMWORD": 32, "ZMMWORD": 64}
    NOTHING = re.compile(r"nop|endbr64|vzero(upper|all)$|[lms]fence")
    UNKNOWN = re.compile(
        r"cpuid|rdtsc|xgetbv|cmpxchg|xadd|lods|scas|cmps[bwdq]$|v?pcmp[ei]str|syscall|loop|j[re]?cxz|leave|ad[co]x|[lv]?maskmov|rd(rand|seed)"
    )
    BOTH = re.compile(r"(add|sub|and|or|xor|not|neg|inc|dec|adc|sbb|shl|shr|sar|rol|ror|rcl|rcr|shld|shrd)$")
    COMPARES = re.compile(r"(cmp|test|bt|v?ptest|vtestp[sd]|v?u?comis[sd]|kortest.|ktest.)$")
    ONLY_TO = re.compile(
        r"(mov|movzx|movsxd?|movabs|movdq[au]|mov[ua]p[sd]|mov[dq]|lea|popcnt|[lt]zcnt|rorx|s[ah][lr]x|shrx|andn|bzhi|bextr|pdep|pext|pop|k.*|set.*)$"
    )
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
