#!/usr/bin/python3
"""power_cut.py TMP CUTS LIBRARY: a node with an embedded bus whose disk remembers only what was synced (platter.c). As soon as a
contract is answered, or shown as served, the power goes: agent, redis-server and gateway are killed and the disk is set back. What
was answered must be in the agent's store, what was served in the gateway's file; started again, everything asked for comes true."""
import json
import os
import random
import shutil
import signal
import sqlite3
import sys

from node_life import Node, until


class Disk:
    """The node's state folder, and what of it would survive."""

    def __init__(self, root, platter):
        self.root, self.platter = root, platter
        os.makedirs(root)
        self.note()

    def note(self):
        """Everything there now is durable."""
        shutil.rmtree(self.platter, ignore_errors=True)
        os.makedirs(self.platter + "/data")
        os.makedirs(self.platter + "/names")
        for folder, _, files in os.walk(self.root):
            with open("%s/names/%d" % (self.platter, os.stat(folder).st_ino), "w") as names:
                names.write(folder + "\n")
                for name in files:
                    inode = os.stat(os.path.join(folder, name)).st_ino
                    names.write("%d %s\n" % (inode, name))
                    shutil.copyfile(os.path.join(folder, name), "%s/data/%d" % (self.platter, inode))

    def cut(self):
        folders = [folder for folder, _, _ in os.walk(self.root)]
        kept = {folder: [] for folder in folders}
        for path in os.listdir(self.platter + "/names"):
            if not path.startswith("tmp"):
                with open(self.platter + "/names/" + path) as file:
                    folder, *lines = file.read().splitlines()
                    kept[folder] = [line.split(" ", 1) for line in lines]
        shutil.rmtree(self.root)
        for folder in folders:  # in order: those above come first
            os.makedirs(folder, mode=0o700, exist_ok=True)
        for folder, files in kept.items():
            for inode, name in files:
                data = "%s/data/%s" % (self.platter, inode)
                target = os.path.join(folder, name)
                if os.path.exists(data):
                    shutil.copyfile(data, target)
                else:
                    open(target, "w").close()
                os.chmod(target, 0o600)
        self.note()


class PowerCut:
    def __init__(self, tmp, library):
        folder = os.path.join(tmp, "cut")
        self.node = Node("cut", folder, os.path.join(folder, "bus.sock"))
        self.state = os.path.join(folder, "state")
        self.disk = Disk(self.state, os.path.join(folder, "platter"))
        os.environ.update(NW_DISK_ROOT=self.state, NW_PLATTER=self.disk.platter)
        self.library = library
        with open(os.path.join(tmp, "contracts.json")) as file:
            self.contracts = json.load(file)
        with open(os.path.join(tmp, "grant.json")) as file:
            self.grant = file.read()
        self.open = []  # asked and not answered yet: (contract, name of the command or entry)

    def start(self):
        os.environ["LD_PRELOAD"] = self.library
        self.node.start()
        del os.environ["LD_PRELOAD"]
        until("the node is up", self.node.is_up)

    def off(self):
        """All three at once."""
        info = self.node.redis.do("INFO", "server")
        pids = [self.node.agent.pid, self.node.gateway_pid(), int(info.split("process_id:")[1].split()[0])]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        self.node.kill_all()
        os.kill(pids[2], signal.SIGKILL)
        until("the bus is gone", lambda: not os.path.exists("/proc/%d/fd/0" % pids[2]))
        self.disk.cut()

    def ask(self, contract):
        before = set(self.node.commands) | set(self.node.entries)
        if contract[0] % 2:
            self.node.deploy_by_list(contract)
        else:
            self.node.deploy_by_stream(contract)
        name, = (set(self.node.commands) | set(self.node.entries)) - before
        return name

    def answer(self, name):
        if name in self.node.commands:
            found = self.node.do("LRANGE", "result:" + name, 0, -1)
        else:
            found = self.node.results().get(name)
        return found and json.loads(found[0])["state"]

    def stored(self):
        """Contracts in the store as it is on the disk now; a copy is read, so nothing of it changes."""
        copy = self.disk.platter + "/look"
        shutil.rmtree(copy, ignore_errors=True)
        os.makedirs(copy)
        for name in "agent.db", "agent.db-wal":
            if os.path.exists(os.path.join(self.state, name)):
                shutil.copy(os.path.join(self.state, name), copy)
        db = sqlite3.connect(copy + "/agent.db")
        rows = db.execute("SELECT contract, version FROM contracts WHERE ended = ''").fetchall()
        db.close()
        return dict(rows)

    def round(self, some):
        """Ask for SOME contracts; the power goes at the answer, or the service, of one of them."""
        names = [(contract, self.ask(contract)) for contract in some]
        contract, name = random.choice(names)
        shown = random.random() < 0.5
        until("contract %d is answered" % contract[0], lambda: self.answer(name) == "SUCCESS")
        if shown:
            until("contract %d is served" % contract[0], lambda: self.node.state_of(contract[0]) == "ok")
        self.off()
        assert self.stored().get(contract[0], -1) >= contract[1], ("answered, but not stored", contract[:2], self.stored())
        assert not shown or "7-%d-w" % contract[0] in self.node.applied(), ("served, but not on the disk", contract[:2])

    def run(self, cuts):
        self.start()
        self.node.admit(self.grant)
        for number in range(cuts):
            self.round(self.contracts[number * 3:number * 3 + 3])
            self.node.commands, self.node.entries = {}, {}  # the bus may have lost them: asked once more at the end
            self.start()
        for contract in self.contracts[:cuts * 3]:
            self.ask(contract)
        self.node.check()
        self.node.kill_all()


cutter = PowerCut(sys.argv[1], sys.argv[3])
cutter.run(int(sys.argv[2]))
