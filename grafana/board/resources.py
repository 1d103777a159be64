"""What each process uses of its machine."""

from shapes import PROCESS, by_role, rate, series, table


def row():
    return "Resources", False, [
        series("Processors", "Processor seconds per second: 1 is one processor, fully used.", "none",
               [by_role(rate("process_cpu_seconds_total", "job, instance"))], size=(8, 7), decimals=2),
        series("Memory", "Resident memory.", "bytes",
               [by_role(f"process_resident_memory_bytes{{{PROCESS}}}")], size=(8, 7)),
        series("Open files", "File descriptors open, as a share of those allowed.", "percentunit",
               [by_role(f"process_open_fds{{{PROCESS}}} / process_max_fds{{{PROCESS}}}")], size=(8, 7),
               links=[("files running out", "cipherwattfilesrunningout")]),
        series("Address space", "Virtual memory: what is mapped, not what is used.", "bytes",
               [by_role(f"process_virtual_memory_bytes{{{PROCESS}}}")], size=(6, 7)),
        series("Threads", "Threads of each process.", "none",
               [by_role(f"process_threads{{{PROCESS}}}")], size=(6, 7)),
        series("Uptime", "Time since each process started.", "s",
               [by_role(f"time() - process_start_time_seconds{{{PROCESS}}}")], size=(6, 7)),
        table("Versions", "Version of each process, and the commit it was built from.",
              [("Running", "none", f"max by (job, instance, version, commit) (cipherwatt_build_info{{{PROCESS}}})")],
              "instance", size=(6, 7)),
    ]
