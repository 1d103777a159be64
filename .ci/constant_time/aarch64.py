"""What the instructions of aarch64 read and write."""

import re

from binary import Instruction, Machine, split


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
            # Two digits: an address is a hexadecimal number, which can begin like a register (`b46000`).
            if number := re.match(r"([xwvqdshb])(\d\d?)$", word):
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
