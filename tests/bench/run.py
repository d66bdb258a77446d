#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Measures the figures that rollcall promises, each beside a reference measured in the same run.

    make bench                          all rows, in less than three minutes
    make bench ONLY=lookup,pick         some rows

The daemon and its reference alternate in short slots; a ratio is the median over the pairs, with the
minimum and the maximum in parentheses. A figure below its target is no failure: the last column has
"met" or "NOT MET". References are a bare libmicrohttpd server (bare_mhd.c), SQLite alone
(bare_sqlite.c), or the daemon itself in a simpler situation; the requests come from load.c and
watchers.c.
"""

import argparse
import glob
import itertools
import json
import os
import re
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, 'tests/integration'))
import rollcall_test as rt  # pylint: disable=wrong-import-position

TOOLS = os.path.join(rt.BUILD, 'tests/bench')
MIGRATIONS = sorted(glob.glob(os.path.join(ROOT, 'schema/sql/[0-9]*.sql')))
PAIRS = 5
SLOT_S = 1.0
CONNECTIONS = 64
STRATEGIES = ('round_robin', 'weighted_round_robin', 'consistent_hash', 'random', 'least_loaded')


# --- requests ---------------------------------------------------------------


def request(method, path, body=None):
    head = f'{method} {path} HTTP/1.1\r\nHost: localhost\r\n'
    if body is None:
        return (head + ('' if method == 'GET' else 'Content-Length: 0\r\n') + '\r\n').encode()
    text = json.dumps(body)
    return (f'{head}Content-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n{text}').encode()


def registration(service, name, **more):
    record = {'host': '10.0.0.1', 'port': 8080, 'metadata': {'version': '1.4.2', 'zone': 'a'}, **more}
    return request('PUT', rt.instance_path(service, name), record)


class Requests:
    """A file of requests for tests/bench/load.c."""

    def __init__(self, folder, requests):
        descriptor, self.path = tempfile.mkstemp(dir=folder)
        self.count = 0
        with os.fdopen(descriptor, 'wb') as file:
            for data in requests:
                file.write(struct.pack('I', len(data)) + data)
                self.count += 1


# --- processes --------------------------------------------------------------


def pin(pid, cpu):
    """Keeps a process on one CPU if there are two or more: server and client then do not migrate."""
    if os.cpu_count() > 1:
        for task in os.listdir(f'/proc/{pid}/task'):
            os.sched_setaffinity(int(task), {cpu})


def unpin(pid):
    for task in os.listdir(f'/proc/{pid}/task'):
        os.sched_setaffinity(int(task), range(os.cpu_count()))


class Load:
    """One run of the load client; result() waits for its end."""

    def __init__(self, port, requests, seconds=SLOT_S, connections=CONNECTIONS, rate=None, cpu=None):
        # On a CPU of its own the client polls instead of sleeping: see load.c.
        command = [os.path.join(TOOLS, 'load'), *(['-s'] if cpu is not None and os.cpu_count() > 1 else []),
                   str(port), str(connections), str(seconds), requests.path]
        if rate is not None:
            command.append(str(rate))
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE)
        if cpu is not None:
            pin(self.process.pid, cpu)

    def result(self):
        output, _ = self.process.communicate()
        if self.process.returncode != 0:
            raise RuntimeError('the load client failed')
        return json.loads(output)


def load(*args, **kwargs):
    return Load(*args, **kwargs).result()


class BareMhd:
    """A bare libmicrohttpd server whose only answer has a body of body_bytes."""

    def __init__(self, body_bytes):
        self.process = subprocess.Popen([os.path.join(TOOLS, 'bare_mhd'), str(body_bytes)],
                                        stdout=subprocess.PIPE)
        self.port = int(self.process.stdout.readline())

    def stop(self):
        self.process.kill()
        self.process.communicate()

    @property
    def pid(self):
        return self.process.pid


def cpu_us(pid, name=None):
    """CPU time of all threads of a process, or of those with this name."""
    total = 0
    for task in os.listdir(f'/proc/{pid}/task'):
        folder = f'/proc/{pid}/task/{task}'
        with open(f'{folder}/comm', encoding='ascii') as file:
            if name is not None and file.read().strip() != name:
                continue
        with open(f'{folder}/schedstat', encoding='ascii') as file:
            total += int(file.read().split()[0])
    return total / 1000


# --- the table --------------------------------------------------------------


class Table:
    WIDTHS = (52, 24, 24, 22, 16)

    def __init__(self):
        self.line('what', 'rollcall', 'reference', 'figure', 'target')
        self.unmet = []

    def line(self, *cells):
        print('  '.join(str(cell).ljust(width) for cell, width in zip(cells, self.WIDTHS)) +
              '  ' + (cells[5] if len(cells) > 5 else ''), flush=True)

    def row(self, what, ours, reference, figure, target, met):
        verdict = '' if met is None else 'met' if met else 'NOT MET'
        self.line(what, ours, reference, figure, target, verdict)
        if met is False:
            self.unmet.append(what)


def spread(values, digits=2):
    return f'{statistics.median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})'


def per_second(values):
    return f'{statistics.median(values) / 1000:.1f}k/s'


class Bench:

    def __init__(self, folder):
        self.folder = folder
        self.table = Table()

    def daemon(self, **kwargs):
        state_dir = tempfile.mkdtemp(dir=self.folder)
        return rt.Daemon(state_dir, options=['--log-level=warning', *kwargs.pop('options', [])], **kwargs)

    def requests(self, data):
        return Requests(self.folder, data)

    def compare(self, servers, pairs=PAIRS, seconds=SLOT_S):
        """Alternates over servers, (name, pid, port, requests); returns for each name the rates and the CPU
        time of a request in microseconds.

        The servers run on the first CPU, the client on the second. Every other round takes the servers in
        reverse, so that a machine that slows down or warms up favours none of them.
        """
        for _, pid, *_ in servers:
            pin(pid, 0)
        rates = {name: [] for name, *_ in servers}
        costs = {name: [] for name, *_ in servers}
        for i in range(pairs):
            for name, pid, port, requests in servers[::-1] if i % 2 else servers:
                before = cpu_us(pid)
                # A slot without an answer (the disk or the host stalled) counts as time of the next slot.
                for slots in itertools.count(1):
                    result = load(port, requests, seconds, cpu=1)
                    if result['refused']:
                        raise RuntimeError(f'{name}: {result["refused"]} requests refused')
                    if result['answered']:
                        break
                rates[name].append(result['rate'] / slots)
                costs[name].append((cpu_us(pid) - before) / result['answered'])
        return rates, costs

    def against_bare(self, what, daemon, requests, body_bytes, target):
        bare = BareMhd(body_bytes)
        rates, costs = self.compare([('bare', bare.pid, bare.port, requests),
                                     ('ours', daemon.pid, daemon.port, requests)])
        bare.stop()
        self.ratio_row(what, rates, costs, 'ours', target)

    def ratio_row(self, what, rates, costs, name, target):
        ratios = [ours / bare for ours, bare in zip(rates[name], rates['bare'])]
        self.table.row(what,
                       f'{per_second(rates[name])}, {statistics.median(costs[name]):.1f} us',
                       f'{per_second(rates["bare"])}, {statistics.median(costs["bare"]):.1f} us',
                       spread(ratios), f'>= {target}', statistics.median(ratios) >= target)

    # --- rows ---

    def lookup(self):
        daemon = self.daemon()
        for i in range(10):
            daemon.register('web', f'web-{i}', metadata={'version': '1.4.2', 'zone': 'a'})
        size = len(daemon.get('/v1/services/web').body)
        self.against_bare(f'lookup, 10 instances ({size} bytes), 64 connections', daemon,
                          self.requests([request('GET', '/v1/services/web')]), size, 0.9)
        daemon.discard()

    def pick(self):
        daemon = self.daemon()
        load(daemon.port, self.requests(
            registration('web', f'web-{i:04}', weight=1 + i % 10) for i in range(1000)), 0)
        servers = []
        for strategy in STRATEGIES:
            paths = [f'/v1/services/web/pick?strategy={strategy}']
            if strategy == 'consistent_hash':
                paths = [f'{paths[0]}&key=user-{i}' for i in range(1000)]
            size = len(daemon.get(paths[0]).body)
            servers.append((strategy, daemon.pid, daemon.port,
                            self.requests(request('GET', path) for path in paths)))
        bare = BareMhd(size)
        servers.insert(0, ('bare', bare.pid, bare.port, servers[0][3]))
        rates, costs = self.compare(servers, seconds=SLOT_S / 2)
        bare.stop()
        for strategy in STRATEGIES:
            self.ratio_row(f'pick, {strategy}, 1,000 instances', rates, costs, strategy, 0.85)
        daemon.discard()

    def heartbeat(self):
        daemon = self.daemon()
        load(daemon.port, self.requests(
            registration(f'service-{i % 100}', f'i{i}') for i in range(1000)), 0)
        requests = self.requests(
            request('POST', rt.instance_path(f'service-{i % 100}', f'i{i}') + '/heartbeat')
            for i in range(1000))
        size = len(daemon.try_heartbeat('service-0', 'i0').body)
        self.against_bare('heartbeat, empty body, 64 connections', daemon, requests, size, 0.85)
        daemon.discard()

    def changes(self, count, label):
        """Registrations of 1,000 instances of 100 services; each changes the metadata of its instance."""
        return self.requests(registration(f'service-{i % 100}', f'i{i % 1000}',
                                          metadata={'version': '1.4.2', 'n': f'{label}-{i}'})
                             for i in range(count))

    def mixed(self):
        daemon = self.daemon()
        for i in range(10):
            daemon.register('service-0', f'web-{i}', metadata={'version': '1.4.2', 'zone': 'a'})
        lookups = self.requests([request('GET', '/v1/services/service-0')])
        rates, tails, written = [], [], []
        alone_rates, alone_tails, both_rates, both_tails = [], [], [], []
        for i in range(PAIRS):
            changes = self.changes(4000, i)
            alone = load(daemon.port, lookups)
            writer = Load(daemon.port, changes, SLOT_S + 0.2, 64, 2000)
            time.sleep(0.1)
            both = load(daemon.port, lookups)
            written.append(writer.result()['rate'])
            alone_rates.append(alone['rate'])
            both_rates.append(both['rate'])
            alone_tails.append(alone['p99_us'] / 1000)
            both_tails.append(both['p99_us'] / 1000)
            rates.append(both['rate'] / alone['rate'])
            tails.append(both['p99_us'] / alone['p99_us'])
        self.table.row(f'lookups beside {per_second(written)} registrations: rate', per_second(both_rates),
                       f'{per_second(alone_rates)} alone', spread(rates), '>= 0.8',
                       statistics.median(rates) >= 0.8)
        self.table.row('... p99', f'{statistics.median(both_tails):.2f} ms',
                       f'{statistics.median(alone_tails):.2f} ms alone', spread(tails), '< 3',
                       statistics.median(tails) < 3)
        daemon.discard()

    def slowdisk(self):
        state_dir = tempfile.mkdtemp(dir=self.folder)
        disk = rt.SlowDisk(state_dir)
        daemon = rt.Daemon(state_dir, options=['--log-level=warning'], env=disk.env)
        load(daemon.port, self.changes(1000, 'first'), 0)
        beats = self.requests(
            request('POST', rt.instance_path(f'service-{i % 100}', f'i{i}') + '/heartbeat')
            for i in range(1000))
        ratios, slow_tails, fast_tails = [], [], []
        for i in range(PAIRS):
            tails = {}
            for delay in (0, 200):
                disk.set(sync_delay_ms=delay)
                writer = Load(daemon.port, self.changes(1000, f'{i}-{delay}'), SLOT_S + 0.2, 128, 200)
                time.sleep(0.1)
                tails[delay] = load(daemon.port, beats, SLOT_S, 64, 10000)['p99_us'] / 1000
                writer.result()
            slow_tails.append(tails[200])
            fast_tails.append(tails[0])
            ratios.append(tails[200] / tails[0])
        self.table.row('heartbeat p99, 10k/s, beside writes, fsync takes 200 ms',
                       f'{statistics.median(slow_tails):.2f} ms',
                       f'{statistics.median(fast_tails):.2f} ms not slowed', spread(ratios), '<= 1.5',
                       statistics.median(ratios) <= 1.5)
        disk.set(sync_delay_ms=0)
        daemon.discard()
        disk.close()

    def bare_sqlite(self, *migrations):
        folder = tempfile.mkdtemp(dir=self.folder)
        output = subprocess.run([os.path.join(TOOLS, 'bare_sqlite'), folder, str(SLOT_S), *migrations],
                                check=True, stdout=subprocess.PIPE).stdout
        shutil.rmtree(folder)
        return float(output)

    def register(self):
        daemon = self.daemon()
        ours, plain, same, p50, p99 = [], [], [], [], []
        for slot in range(PAIRS):
            requests = self.requests(registration(f'service-{i % 500}', f'slot-{slot}-{i}')
                                     for i in range(60000))
            plain.append(self.bare_sqlite())
            result = load(daemon.port, requests)
            same.append(self.bare_sqlite(*MIGRATIONS))
            if result['refused'] or result['answered'] >= requests.count:
                raise RuntimeError(f'registrations were refused or ran out: {result}')
            ours.append(result['rate'])
            p50.append(result['p50_us'] / 1000)
            p99.append(result['p99_us'] / 1000)
        self.table.row('registrations, durable, 64 connections', per_second(ours),
                       f'{per_second(plain)} SQLite alone', spread([a / b for a, b in zip(ours, plain)]),
                       '>= 0.6', statistics.median(a / b for a, b in zip(ours, plain)) >= 0.6)
        self.table.row(f'... p50 {statistics.median(p50):.1f} ms, p99 {statistics.median(p99):.1f} ms', '',
                       f'{per_second(same)} in our tables', spread([a / b for a, b in zip(ours, same)]),
                       '', None)
        daemon.discard()

    def memory(self):
        """Memory of 100,000 instances of 10,000 services. Returns the daemon and the number of instances."""
        count = 100000
        daemon = self.daemon()
        idle = daemon.rss_bytes()
        load(daemon.port, self.requests(registration(f'service-{i % 10000}', f'instance-{i}', ttl_ms=30000)
                                        for i in range(count)), 0, 256)
        unread = daemon.rss_bytes()
        # Look up each service once: the daemon renders its answer and keeps it.
        load(daemon.port, self.requests(request('GET', f'/v1/services/service-{i}') for i in range(10000)), 0)
        loaded = daemon.rss_bytes()
        self.table.row('memory, 100,000 instances of 10,000 services', f'{unread / 2**20:.0f} MiB',
                       f'{idle / 2**20:.0f} MiB empty', f'{unread / count:.0f} bytes each', '<= 1024',
                       unread / count <= 1024)
        self.table.row('... once every service has been looked up', f'{loaded / 2**20:.0f} MiB', '',
                       f'{loaded / count:.0f} bytes each', '', None)
        return daemon, count

    def start(self, daemon):
        took = []
        for _ in range(3):
            daemon.stop()
            begun = time.monotonic()
            daemon.start()
            took.append(time.monotonic() - begun)
        self.table.row('start with 100,000 instances to ready', f'{statistics.median(took):.2f} s', '',
                       spread(took), '< 1 s', statistics.median(took) < 1)

    def sweeper(self, daemon, count):
        beats = self.requests(request('POST', rt.instance_path(f'service-{i % 10000}', f'instance-{i}') +
                                      '/heartbeat') for i in range(count))
        load(daemon.port, beats, 0)
        before = cpu_us(daemon.pid, 'sweeper')
        begun = time.monotonic()
        result = load(daemon.port, beats, 32, 32, count / 12)
        percent = (cpu_us(daemon.pid, 'sweeper') - before) / (time.monotonic() - begun) / 1e4
        alive = daemon.status()
        self.table.row('sweeper, 100,000 leases of 30 s, a heartbeat each 12 s', f'{percent:.2f} % of a core',
                       f'{result["rate"] / 1000:.1f}k heartbeats/s', f'{percent:.2f} %', '< 1 %', percent < 1)
        print(f'  (afterwards: {json.dumps(alive.get("instances", alive))})')

    def cycles(self):
        daemon = self.daemon(options=['--events-max-count=100000'])
        # 1,000 registrations, then their 1,000 removals: no removal overtakes its registration, which one of
        # the 256 connections has sent long before.
        blocks = [[(f'service-{i % 100}', f'i{i}') for i in range(start, start + 1000)]
                  for start in range(0, 10000, 1000)]
        requests = self.requests(data for block in blocks for data in
                                 [registration(*names) for names in block] +
                                 [request('DELETE', rt.instance_path(*names)) for names in block])
        load(daemon.port, requests, 0, 256)
        first = daemon.rss_bytes()
        begun = time.monotonic()
        for _ in range(99):
            load(daemon.port, requests, 0, 256)
        took = time.monotonic() - begun
        last = daemon.rss_bytes()
        self.table.row('1,000,000 register/deregister cycles: RSS',
                       f'{last / 2**20:.1f} MiB', f'{first / 2**20:.1f} MiB after 10,000',
                       f'{(last / first - 1) * 100:+.1f} %', '<= +5 %', last <= 1.05 * first)
        print(f'  ({990000 * 2 / took / 1000:.1f}k changes/s)')
        daemon.discard()

    def watchers(self):
        """Parked long polls: the time until all are answered, and their memory while they wait.

        What they cost other requests is measured against a second daemon that has no watchers.
        """
        for count, limit_ms in ((1000, 40), (10000, 400)):
            watched, alone = (self.daemon(options=['--max-connections=20000',
                                                     '--max-connections-per-peer=20000']) for _ in range(2))
            lookups, changes = self.requests([request('GET', '/v1/services/web')]), self.changes(4000, 'n')
            for daemon in (watched, alone):
                for i in range(10):
                    daemon.register('web', f'web-{i}')
                for requests in (lookups, changes):
                    load(daemon.port, requests, SLOT_S / 2)
            idle = watched.rss_bytes()
            watchers = subprocess.Popen([os.path.join(TOOLS, 'watchers'), str(watched.port), str(count), '5'],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            rounds, beside, parked = [], [], 0
            while watchers.stdout.readline():
                rt.wait_for(lambda: watched.metric('rollcall_http_parked_requests') == count, 30)
                if not beside:
                    parked = watched.rss_bytes()
                    beside = [(what, self.compare([('bare', alone.pid, alone.port, requests),
                                                   ('ours', watched.pid, watched.port, requests)],
                                                  6 * PAIRS, SLOT_S / 4))
                              for what, requests in (('lookups', lookups), ('registrations', changes))]
                    unpin(watched.pid)
                watchers.stdin.write('go\n')
                watchers.stdin.flush()
                rounds.append(json.loads(watchers.stdout.readline()))
            watchers.wait()
            last = [answer['last_ms'] for answer in rounds]
            self.table.row(f'change acknowledged to {count:,} long polls answered', f'{statistics.median(last):.0f} ms',
                           f'{statistics.median(r["whole_ms"] for r in rounds):.0f} ms from its request', spread(last, 0),
                           f'<= {limit_ms} ms', statistics.median(last) <= limit_ms)
            each = (parked - idle) / count
            self.table.row(f'... memory of {count:,} parked', f'{parked / 2**20:.0f} MiB', f'{idle / 2**20:.0f} MiB before',
                           f'{each:.0f} bytes each', '< 8192', each < 8192)
            for what, (rates, costs) in beside:
                self.ratio_row(f'... {what} of others meanwhile', rates, costs, 'ours', 0.95)
            watched.discard()
            alone.discard()

    def client(self):
        """Time and memory of the client library."""
        daemon = self.daemon()
        host, port = daemon.urls[0].removeprefix('http://').rsplit(':', 1)
        for i in range(10):
            daemon.register('bench', f'i{i}', host=f'10.0.0.{i + 1}', ttl_ms=300000)
        daemon.register('self', 'me', host=host, port=int(port), ttl_ms=300000)
        out = subprocess.run([os.path.join(TOOLS, 'bench_client'), f'{host}:{port}', 'bench', '20000'],
                             check=True, stdout=subprocess.PIPE, text=True).stdout
        found = json.loads(out)
        self.table.row('client: discover from a warm cache, 10 instances', f'{found["pick_ns"]:.0f} ns', '',
                       '', '< 200 ns', found['pick_ns'] < 200)
        self.table.row('client: the same, two threads on two services',
                       f'{found["pick_two_threads_ns"]:.0f} ns', f'{found["pick_ns"]:.0f} ns alone',
                       f'{found["waits"]} waits in 10M', '< 200 ns', found['pick_two_threads_ns'] < 200)
        self.table.row('client: call with all layers over libcurl alone, CPU',
                       f'+{found["call_cpu_us"]:.1f} us', f'+{found["call_wall_us"]:.1f} us wall', '',
                       '< 5 us', found['call_cpu_us'] < 5)
        self.table.row('client: 1,000 registrations on one handle, RSS',
                       f'+{found["registrations_mib"]:.1f} MiB', f'{found["empty_mib"]:.1f} MiB empty', '',
                       '< +5 MiB', found['registrations_mib'] < 5)
        daemon.discard()

    def read_log(self, daemon, accept):
        """Reads the whole log as one stream; returns the seconds that this took and the number of events."""
        raw = daemon.raw(timeout=60)
        last = daemon.status()['revision']
        begun = time.monotonic()
        raw.send(f'GET /v1/events?since=0 HTTP/1.0\r\nHost: x\r\nAccept: {accept}\r\n\r\n')
        mark, tail = f'"revision":{last},"time"'.encode(), b''
        while mark not in tail:
            data = raw.sock.recv(1 << 20)
            if not data:
                raise RuntimeError('the stream ended early')
            tail = tail[-len(mark):] + data
        took = time.monotonic() - begun
        raw.close()
        return took, last

    def stream(self):
        daemon = self.daemon()
        load(daemon.port, self.changes(200000, 'log'), 0)
        for accept in ('text/event-stream', 'application/jsonl'):
            rates = []
            for _ in range(PAIRS):
                took, events = self.read_log(daemon, accept)
                rates.append(events / took)
            self.table.row(f'{events // 1000}k events from the log to one reader, {accept}', per_second(rates), '',
                           spread([rate / 1000 for rate in rates], 1), '>= 100 k/s',
                           statistics.median(rates) >= 100000)
        daemon.discard()

    def travel(self):
        """10,000 instances, then 110,000 changes of them: lookups of the state before the changes."""
        daemon = self.daemon()
        for count, services in ((10000, 100), (10000, 1)):
            load(daemon.port, self.requests(registration(f'{services}-{i % services}', f'i{i}')
                                            for i in range(count)), 0, 256)
            at = daemon.get('/v1/services').revision
            load(daemon.port, self.requests(
                registration(f'{services}-{i % services}', f'i{i % count}', metadata={'n': str(i)})
                for i in range(110000)), 0, 256)
            took, size = [], 0
            # 100,000 to 110,000 events back: both near a keyframe and at the largest distance from one.
            for _ in range(20):
                at += 500
                begun = time.monotonic()
                size = len(daemon.get(f'/v1/services/{services}-0?at={at}').body)
                took.append((time.monotonic() - begun) * 1000)
            self.table.row(f'?at= 100,000 events back, 10,000 instances, {services} service(s)',
                           f'{statistics.median(took):.1f} ms', f'{size} bytes', spread(took, 1),
                           '< 50 ms', statistics.median(took) < 50)
        daemon.discard()

    def state(self, rows):
        """Rows that share one daemon with 100,000 instances."""
        daemon, count = self.memory()
        if 'start' in rows:
            self.start(daemon)
        if 'sweeper' in rows:
            self.sweeper(daemon, count)
        daemon.discard()


ROWS = ('lookup', 'pick', 'heartbeat', 'mixed', 'slowdisk', 'register', 'memory', 'start', 'sweeper', 'cycles',
        'watchers', 'client', 'stream', 'travel')
SHARED = {'memory', 'start', 'sweeper'}


def hardware():
    with open('/proc/cpuinfo', encoding='utf-8') as file:
        models = re.findall(r'model name\s*: (.*)', file.read())
    return f'{len(models)} x {models[0] if models else "?"}, Linux {os.uname().release}'


def main():
    parser = argparse.ArgumentParser(description='Measure the figures that rollcall promises.')
    parser.add_argument('--only', default='', help=f'measure some of {",".join(ROWS)}')
    parser.add_argument('--dir', help='make the state directories here (default: the build folder)')
    args = parser.parse_args()
    rows = [row for row in args.only.split(',') if row] or list(ROWS)
    for row in rows:
        if row not in ROWS:
            parser.error(f'unknown row {row!r}; rows are {",".join(ROWS)}')

    print(f'{rt.ROLLCALLD} on {hardware()}')
    begun = time.monotonic()
    folder = tempfile.mkdtemp(prefix='bench-', dir=args.dir or rt.BUILD)
    try:
        bench = Bench(folder)
        for row in rows:
            if row not in SHARED:
                getattr(bench, row)()
            elif row == next(other for other in rows if other in SHARED):
                bench.state(rows)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    unmet = f'not met: {"; ".join(bench.table.unmet)}' if bench.table.unmet else 'all met'
    print(f'{unmet}; {time.monotonic() - begun:.0f} s; {os.getloadavg()[0]:.1f} load at the end')


if __name__ == '__main__':
    main()
