"""Follows secrets through compiled code: no branch, address or division may depend on one.

    follow.py ARCHITECTURE OBJDUMP BINARY NAME...

ARCHITECTURE is x86_64 or aarch64, a NAME the end of a function's name, such as seal::kernel::portable::forward. Says what
each function has, and exits with 1 if one of them breaks a rule or is not in the binary.

Public are a function's arguments in registers and on the stack, so every length and pointer, and constants of the binary.
Secret is everything that is loaded through a pointer, and what is computed from it, flags included. Registers are followed
one by one, and the stack by words of four bytes, along every path; where paths meet, a secret on one of them is one.
A word of the stack that was not written at a fixed place is secret too, and so are those from where a secret is stored at a
computed index, or which a call is given the place of. Reported are
* a conditional jump on secret flags or a secret register,
* a load, a store or a prefetch whose address or mask is secret, a count of a repeated instruction likewise,
* a division with a secret operand (the time of a multiplication or a shift depends on no operand on these processors),
* a call of anything but memcpy, memset, a panic or another function that is checked, or one that hands over a secret,
* a jump to a computed place, and an instruction this does not know how to follow.
A conditional move and its like are allowed. Assumed: what is passed by value is public; a pointer into the stack that was
computed in steps does not write a word that is read again as one that was public.
"""

import re
import sys

from aarch64 import Aarch64
from binary import place
from x86_64 import X86

SECRET, PUBLIC, ARGUMENT = "secret", "public", "argument"
COPIES = re.compile(r"mem(cpy|set|move)$")
ENDS = re.compile(r"(core|alloc|std)::.*(panic|_fail|handle_(alloc_)?error)|_Unwind_Resume$")
GRANULE = 4
MACHINES = {"x86_64": X86, "aarch64": Aarch64}


def join(one, other):
    """What is known of a value that comes on either of two paths. A tuple is a fixed place on the stack."""
    if one == other:
        return one
    return next((known for known in (SECRET, ARGUMENT) if known in (one, other)), PUBLIC)


def mixed(values):
    """What is known of a value that is computed from these."""
    return SECRET if SECRET in values else PUBLIC


class State:
    """What is known of registers, flags and stack at one place."""

    def __init__(self, known, slots):
        self.known, self.slots = known, slots

    def copy(self):
        return State(dict(self.known), dict(self.slots))

    def meet(self, other):
        known = {name: join(self.known[name], other.known[name]) for name in self.known}
        slots = {at: join(self.slot(at), other.slot(at)) for at in self.slots.keys() | other.slots.keys()}
        return State(known, slots)

    def slot(self, at):
        """A word of the stack. Above where it began are arguments."""
        return self.slots.get(at, PUBLIC if at[0] == "entry" and at[1] >= 0 else SECRET)

    def forget(self, place):
        """Makes everything secret from there."""
        first = place[2] // GRANULE
        self.slots.update({at: SECRET for at in self.slots if at[0] == place[1] and at[1] >= first})

    def same(self, other):
        return self.known == other.known and self.slots == other.slots

    def load(self, place, size):
        if place is None:
            return SECRET
        base, offset = place[1:]
        found = [self.slot((base, at)) for at in granules(offset, size)]
        return found[0] if all(value == found[0] for value in found) else mixed(found)

    def store(self, place, size, value):
        if place is None:
            return
        base, offset = place[1:]
        for at in granules(offset, size):
            whole = offset <= at * GRANULE and (at + 1) * GRANULE <= offset + size
            self.slots[base, at] = value if whole else join(value, self.slot((base, at)))


def granules(offset, size):
    return range(offset // GRANULE, -(-(offset + size) // GRANULE))


class Function:
    """A function, followed from its entry."""

    def __init__(self, machine, name, code):
        self.machine, self.name = machine, name
        self.code = {i.at: i for i in code}
        order = [i.at for i in code]
        self.following = dict(zip(order, order[1:]))
        self.findings, self.arguments, self.calls = {}, set(), {}

    def report(self, i, what):
        self.findings[i.at] = f"{what}: {i.name} {', '.join(i.operands)}"

    def follow(self):
        """Until nothing more becomes secret."""
        machine, start = self.machine, min(self.code)
        known = dict.fromkeys(machine.REGISTERS, PUBLIC) | dict.fromkeys(machine.ARGUMENTS, ARGUMENT)
        known[machine.STACK] = ("stack", "entry", 0)
        before, todo = {start: State(known, {})}, [start]
        while todo:
            i = self.code[todo.pop()]
            state = before[i.at].copy()
            self.step(i, state)
            for after in self.successors(i):
                met = before[after].meet(state) if after in before else state
                if after not in before or not met.same(before[after]):
                    before[after] = met
                    todo.append(after)
        return self

    def successors(self, i):
        after = [i.target] if i.jump and i.target in self.code else []
        goes_on = not i.end and (i.conditional or not i.jump) and not (i.call and ENDS.match(i.callee))
        return after + ([self.following[i.at]] if goes_on and i.at in self.following else [])

    def read(self, known, names):
        """What is known of these registers, which are used now."""
        self.arguments.update(name for name in names if known[name] == ARGUMENT)
        return [PUBLIC if known[name] == ARGUMENT else known[name] for name in names]

    def step(self, i, state):
        """What `i` does to the state, and whether it breaks a rule."""
        known = state.known
        if i.unknown:
            self.report(i, "not understood")
        if i.memory and SECRET in self.read(known, i.address):
            self.report(i, "address from a secret")
        if i.conditional and SECRET in self.read(known, i.sources):
            self.report(i, "branch on a secret")
        if i.division and SECRET in self.read(known, i.sources):
            self.report(i, "division of a secret")
        if i.jump and i.end:
            self.report(i, "jump to a computed place")
        elif i.call or (i.jump and i.target not in self.code):
            self.hand_over(i, state)
        elif not i.jump:
            self.compute(i, state)

    def compute(self, i, state):
        known = state.known
        moved = self.machine.moved(i, known)
        at = place(i, known) if i.memory else None
        values = self.read(known, i.sources)
        if i.loads:
            values.append(PUBLIC if i.constant else state.load(at, i.size))
        value = values[0] if i.copies and len(values) == 1 else mixed(values)
        if i.stores and i.copies and at:
            each = i.size // len(i.sources) if i.sources else i.size
            for number, stored in enumerate(values or [PUBLIC]):
                state.store((*at[:2], at[2] + number * each), each, stored)
        elif i.stores:
            state.store(at, i.size, value)
            if i.indexed and value == SECRET:
                for pointer in [known[name] for name in i.address if isinstance(known[name], tuple)]:
                    state.forget(pointer)
        each = i.size // max(1, len(i.to))
        for number, name in enumerate(i.to):
            known[name] = value
            if i.loads and at and i.copies:
                known[name] = state.load((*at[:2], at[2] + number * each), each)
        if moved:
            known[i.to[0]] = moved
        if i.shift and isinstance(known[i.address[0]], tuple):
            stack, base, offset = known[i.address[0]]
            known[i.address[0]] = (stack, base, offset + i.shift)
        known.update(dict.fromkeys(i.sets, value))
        known.update({flag: join(known[flag], value) for flag in i.may_set})

    def hand_over(self, i, state):
        """A call. What a checked function is handed is looked at when all have been followed."""
        known = state.known
        if found := COPIES.match(i.callee):
            names = self.machine.ARGUMENTS[:3]
            if found[1] == "set":
                del names[1]
            if SECRET in self.read(known, names):
                self.report(i, f"hands a secret to {i.callee}")
        secret = {name for name in self.machine.ARGUMENTS if known[name] == SECRET}
        self.calls[i.at] = self.calls.get(i.at, set()) | secret
        for pointer in [known[name] for name in self.machine.ARGUMENTS if isinstance(known[name], tuple)]:
            state.forget(pointer)
        known.update(dict.fromkeys(self.machine.LOST, SECRET))

    def check_calls(self, checked):
        for at, secret in self.calls.items():
            callee, target = self.code[at].callee, self.code[at].target
            if target in checked:
                if secret & checked[target].arguments:
                    self.report(self.code[at], "hands over a secret")
            elif not COPIES.match(callee) and not ENDS.match(callee):
                self.report(self.code[at], f"calls {callee or 'a computed place'}, which is not checked")


def main(architecture, objdump, binary, *names):
    machine, failures, checked = MACHINES[architecture](objdump, binary), [], {}
    for name in names:
        found = {at: Function(machine, title, code).follow() for at, title, code in machine.functions(name)}
        failures += [] if found else [f"{name} is not in {binary}"]
        checked |= found
    for function in checked.values():
        function.check_calls(checked)
        failures += [f"{function.name} at {at:x}: {what}" for at, what in sorted(function.findings.items())]
    for failure in failures:
        print(f"constant time, {architecture}: {failure}")
    code = [i for function in checked.values() for i in function.code.values()]
    print(f"constant time, {architecture}: {len(checked)} functions, {len(code)} instructions, {sum(i.conditional for i in code)} "
          f"conditional branches, {sum(i.memory for i in code)} accesses to memory; {len(failures)} findings")
    return 1 if failures or not checked else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
