# SPDX-License-Identifier: MIT
"""rollcall agent: it registers services whose check passes, removes the others, and keeps a state file.

The agent and the registry are real and are killed and restarted; class Program is a service whose check the
test makes fail.
"""

import http.server
import json
import os
import signal
import socket
import threading

import rollcall_test as rt
import tool_test
from tool_test import ERROR, OK, USAGE


class Program:
    """A service on a port of its own, whose health check the test can make fail."""

    def __init__(self):
        program = self
        self.status = 200

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(program.status if self.path == '/healthz' else 404)
                self.end_headers()

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
        self.server = None


class TestCase(tool_test.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.directory()
        self.path = os.path.join(self.folder, 'services.json')

    def program(self):
        program = Program()
        self.addCleanup(program.close)
        return program

    def write(self, *services, **more):
        text = json.dumps({'services': [{'interval_ms': 100, 'host': '127.0.0.1', **one} for one in services], **more})
        with open(self.path + '.new', 'w', encoding='utf-8') as file:
            file.write(text)
        os.rename(self.path + '.new', self.path)

    def agent(self, daemon, *args):
        return self.start(daemon, 'agent', self.path, *args)

    def wait_ids(self, daemon, service, *ids):
        rt.wait_for(lambda: daemon.ids(service, status='any') == list(ids), 30, f'{service} has {ids}')

    @property
    def remembered(self):
        text = tool_test.read(self.path + '.state')
        return json.loads(text)['registered'] if text else []


class Checking(TestCase):
    def test_each_kind_of_check_registers_a_service_that_passes(self):
        daemon = self.daemon()
        program = self.program()
        pid_file = self.file(f'{os.getpid()}\n')
        self.write({'service': 'http', 'id': 'a', 'port': program.port, 'check': '/healthz', 'weight': 9,
                    'metadata': {'k': 'v'}, 'ttl_ms': 20000, 'remove_after_ms': 60000},
                   {'service': 'url', 'id': 'a', 'port': 1, 'check': f'http://127.0.0.1:{program.port}/healthz'},
                   {'service': 'tcp', 'id': 'a', 'port': program.port},
                   {'service': 'place', 'id': 'a', 'port': 2, 'check': f'tcp://127.0.0.1:{program.port}'},
                   {'service': 'exec', 'id': 'a', 'port': 3, 'check': 'exec:test -e ' + self.path},
                   {'service': 'process', 'id': 'a', 'port': 4, 'check': 'pid:' + pid_file},
                   {'service': 'always', 'id': 'a', 'port': 5, 'check': 'none'},
                   {'service': 'bad', 'id': 'a', 'port': tool_test.free_port()},
                   {'service': 'bad', 'id': 'b', 'port': program.port, 'check': '/nothing'},
                   {'service': 'bad', 'id': 'c', 'port': 6, 'check': 'exec:exit 3'},
                   {'service': 'bad', 'id': 'd', 'port': 7, 'check': 'pid:/nonexistent'},
                   {'service': 'bad', 'id': 'e', 'port': 8, 'check': 'exec:sleep 1000', 'timeout_ms': 100},
                   {'service': 'bad', 'id': 'f', 'port': 9, 'check': 'pid:' + self.path})
        agent = self.agent(daemon)
        for service in ('http', 'url', 'tcp', 'place', 'exec', 'process', 'always'):
            self.wait_ids(daemon, service, 'a')
        for one in 'abcdef':
            agent.wait_err(f'bad {one}: failing')
        self.assertEqual(daemon.ids('bad', status='any'), [])
        made = daemon.instance('http', 'a')
        self.assertEqual({key: made[key] for key in ('host', 'port', 'weight', 'metadata', 'ttl_ms', 'remove_after_ms')},
                         {'host': '127.0.0.1', 'port': program.port, 'weight': 9, 'metadata': {'k': 'v'}, 'ttl_ms': 20000,
                          'remove_after_ms': 60000})
        self.assertIn('bad b: failing (status 404)', agent.err)
        self.assertIn('bad c: failing (the command ended with 3)', agent.err)
        self.assertIn('bad e: failing (the command took longer than 100 ms)', agent.err)
        self.assertIn('bad f: failing (the file has no process id)', agent.err)
        self.assertEqual(agent.stop(), OK)
        self.assertEqual(json.loads(self.ok(daemon, 'services', '-o', 'json').out)['services'], [])
        self.assertEqual(self.remembered, [])

    def test_a_pid_file_that_is_a_fifo_delays_nothing(self):
        daemon = self.daemon()
        fifo = os.path.join(self.directory(), 'fifo')
        os.mkfifo(fifo)
        self.write({'service': 'web', 'id': 'a', 'port': 1, 'check': 'pid:' + fifo, 'fail': 1},
                   {'service': 'web', 'id': 'b', 'port': 1, 'check': 'none'})
        agent = self.agent(daemon)
        agent.wait_err('web a: failing (it is not a regular file)')
        self.wait_ids(daemon, 'web', 'b')
        agent.stop()

    def test_a_check_out_of_time_ends_with_its_children(self):
        daemon = self.daemon()
        note = os.path.join(self.directory(), 'pids')
        self.write({'service': 'web', 'id': 'a', 'port': 1, 'timeout_ms': 300, 'fail': 1, 'check':
                    f'exec:sh -c \'trap "" TERM; echo $$ >>{note}; while :; do sleep 0.1; done\' & sleep 1000'})
        agent = self.agent(daemon)
        pid = rt.wait_for(lambda: tool_test.read(note).split(), 20, 'the check')[0]
        self.addCleanup(tool_test.end_process, int(pid))
        rt.wait_for(lambda: not tool_test.lives(pid), 20, 'the end of the check')
        agent.wait_err('web a: failing (the command took longer than 300 ms)')
        agent.stop()
        rt.wait_for(lambda: not any(tool_test.lives(pid) for pid in tool_test.read(note).split()), 20, 'the end of all')

    def test_a_service_whose_check_fails_is_removed_and_returns(self):
        daemon = self.daemon()
        program = self.program()
        self.write({'service': 'web', 'id': 'a', 'port': program.port, 'check': '/healthz'})
        agent = self.agent(daemon)
        self.wait_ids(daemon, 'web', 'a')
        program.status = 500
        self.wait_ids(daemon, 'web')
        self.assertIn('web a: failing (status 500)', agent.err)
        program.status = 204
        self.wait_ids(daemon, 'web', 'a')
        program.close()
        self.wait_ids(daemon, 'web')
        self.assertEqual([event['kind'] for event in daemon.events()],
                         ['registered', 'deregistered', 'registered', 'deregistered'])

    def test_the_file_sets_how_many_failures_remove_a_service(self):
        daemon = self.daemon()
        counter = os.path.join(self.folder, 'count')
        # Fails twice, passes once, and so on: never fails three times in succession.
        check = f'exec:echo >>{counter}; test $(($(wc -l <{counter}) % 3)) = 0'
        self.write({'service': 'web', 'id': 'a', 'port': 1, 'check': check, 'pass': 1, 'fail': 3},
                   {'service': 'web', 'id': 'b', 'port': 1, 'check': check.replace('count', 'other'), 'pass': 2, 'fail': 9})
        agent = self.agent(daemon)
        rt.wait_for(lambda: len(tool_test.read(counter)) > 12, 30, 'twelve checks')
        self.assertEqual([(event['kind'], event['id']) for event in daemon.events()], [('registered', 'a')])
        self.assertNotIn('failing', agent.err)

    def test_a_default_id_stays_the_same(self):
        daemon = self.daemon()
        self.write({'service': 'web', 'port': 12345, 'check': 'none'})
        self.agent(daemon)
        self.wait_ids(daemon, 'web', f'{socket.gethostname()}:12345')


class Reconciling(TestCase):
    def test_a_reload_removes_adds_and_changes(self):
        daemon = self.daemon()
        self.write({'service': 'web', 'id': 'stays', 'port': 1, 'check': 'none'},
                   {'service': 'web', 'id': 'goes', 'port': 2, 'check': 'none'},
                   {'service': 'db', 'id': 'changes', 'port': 3, 'check': 'none'})
        agent = self.agent(daemon)
        rt.wait_for(lambda: sorted(daemon.ids('web')) == ['goes', 'stays'] and daemon.ids('db') == ['changes'], 30)
        self.write({'service': 'web', 'id': 'stays', 'port': 1, 'check': 'none'},
                   {'service': 'web', 'id': 'comes', 'port': 2, 'check': 'none'},
                   {'service': 'db', 'id': 'changes', 'port': 4, 'check': 'none'})
        agent.signal(signal.SIGHUP)
        self.wait_ids(daemon, 'web', 'stays', 'comes')
        rt.wait_for(lambda: (daemon.instance('db', 'changes') or {}).get('port') == 4, 30, 'the change')
        self.assertEqual([event['kind'] for event in daemon.events(id='stays')], ['registered'])

    def test_a_wrong_file_changes_nothing(self):
        daemon = self.daemon()
        self.write({'service': 'web', 'id': 'a', 'port': 1, 'check': 'none'})
        agent = self.agent(daemon)
        self.wait_ids(daemon, 'web', 'a')
        self.write({'service': 'web', 'id': 'b', 'port': 0})
        agent.signal(signal.SIGHUP)
        agent.wait_err('keeping the services of the last valid file')
        self.assertEqual(daemon.ids('web'), ['a'])

    def test_after_a_crash_of_the_agent_dead_services_are_removed(self):
        daemon = self.daemon()
        program = self.program()
        doomed = self.program()
        self.write({'service': 'web', 'id': 'runs', 'port': program.port, 'ttl_ms': 3600000},
                   {'service': 'web', 'id': 'dies', 'port': doomed.port, 'ttl_ms': 3600000},
                   {'service': 'old', 'id': 'left', 'port': program.port, 'ttl_ms': 3600000})
        agent = self.agent(daemon)
        rt.wait_for(lambda: sorted(daemon.ids('web')) == ['dies', 'runs'] and daemon.ids('old') == ['left'], 30)
        agent.signal(signal.SIGKILL)
        agent.wait()
        daemon.register('old', 'of somebody else'.replace(' ', '-'))
        doomed.close()
        self.write({'service': 'web', 'id': 'runs', 'port': program.port, 'ttl_ms': 3600000},
                   {'service': 'web', 'id': 'dies', 'port': doomed.port, 'ttl_ms': 3600000})
        agent = self.agent(daemon)
        self.wait_ids(daemon, 'web', 'runs')
        self.wait_ids(daemon, 'old', 'of-somebody-else')
        self.assertEqual([event['kind'] for event in daemon.events(id='runs')], ['registered'])
        rt.wait_for(lambda: self.remembered == ['web runs'], 20, 'the state file')
        self.assertEqual(agent.stop(), OK)
        self.assertEqual(self.remembered, [])

    def test_the_state_file_is_written_before_the_registration(self):
        port = tool_test.free_port()
        self.write({'service': 'web', 'id': 'a', 'port': 1, 'check': 'none'})
        agent = self.agent(f'127.0.0.1:{port}')
        rt.wait_for(lambda: self.remembered == ['web a'], 20, 'the state file')
        agent.signal(signal.SIGKILL)
        agent.wait()
        self.write()
        # For example a request of the killed agent that arrived late.
        daemon = self.daemon(listen=[f'127.0.0.1:{port}'])
        daemon.register('web', 'a')
        self.agent(daemon)
        self.wait_ids(daemon, 'web')

    def test_a_failed_removal_is_retried(self):
        port = tool_test.free_port()
        daemon = self.daemon(listen=[f'127.0.0.1:{port}'])
        self.write({'service': 'web', 'id': 'a', 'port': 1, 'check': 'none', 'ttl_ms': 3600000})
        agent = self.agent(daemon)
        self.wait_ids(daemon, 'web', 'a')
        daemon.stop()
        self.write()
        agent.signal(signal.SIGHUP)
        daemon.start()
        self.wait_ids(daemon, 'web')
        rt.wait_for(lambda: self.remembered == [], 20, 'the state file')

    def test_the_state_file_can_be_elsewhere(self):
        daemon = self.daemon()
        state = os.path.join(self.directory(), 'state')
        self.write({'service': 'web', 'id': 'a', 'port': 1, 'check': 'none'})
        agent = self.agent(daemon, '--state', state)
        self.wait_ids(daemon, 'web', 'a')
        self.assertEqual(json.loads(tool_test.read(state)), {'registered': ['web a']})
        self.assertFalse(os.path.exists(self.path + '.state'))
        agent.stop()

    def test_a_state_file_that_cannot_be_written_is_written_later(self):
        daemon = self.daemon()
        folder = os.path.join(self.directory(), 'later')
        self.write({'service': 'web', 'id': 'a', 'port': 1, 'check': 'none'})
        agent = self.agent(daemon, '--state', os.path.join(folder, 'state'))
        agent.wait_err('cannot write state file')
        self.wait_ids(daemon, 'web', 'a')
        os.mkdir(folder)
        rt.wait_for(lambda: 'web a' in tool_test.read(os.path.join(folder, 'state')), 20, 'the state file')
        agent.signal(signal.SIGKILL)
        agent.wait()
        self.write()
        self.agent(daemon, '--state', os.path.join(folder, 'state'))
        rt.wait_for(lambda: daemon.ids('web', status='any') == [], 20, 'the removal')

    def test_a_state_file_that_is_no_file_is_refused(self):
        fifo = os.path.join(self.directory(), 'fifo')
        os.mkfifo(fifo)
        self.write()
        for state, kind in ((fifo, 'a FIFO'), ('/dev/null', 'a character device'), (self.folder, 'a directory')):
            result = self.tool('127.0.0.1:1', 'agent', self.path, '--state', state, timeout=10)
            self.assertEqual(result.code, USAGE, result)
            self.assertIn(f"'{state}' is {kind}", result.err)

    def test_a_link_to_a_state_file_stays(self):
        daemon = self.daemon()
        link = os.path.join(self.directory(), 'link')
        os.symlink('state', link)
        self.write({'service': 'web', 'id': 'a', 'port': 1, 'check': 'none'})
        agent = self.agent(daemon, '--state', link)
        rt.wait_for(lambda: 'web a' in tool_test.read(link), 20, 'the state file')
        self.assertEqual(os.readlink(link), 'state')
        agent.stop()

    def test_a_damaged_state_file_is_not_overwritten(self):
        daemon = self.daemon()
        self.write()
        for text in ('', '{', '[]', '{"registered":[7]}', '{"registered":["x"]}'):
            state = self.file(text)
            self.assertEqual(self.tool(daemon, 'agent', self.path, '--state', state).code, ERROR, text)
            self.assertEqual(tool_test.read(state), text)


class Reporting(TestCase):
    def test_a_refused_and_a_failing_registration_are_reported(self):
        port = tool_test.free_port()
        daemon = self.daemon(listen=[f'127.0.0.1:{port}'], start=False)
        self.write({'service': 'web', 'id': 'a', 'port': 1, 'check': 'none'},
                   {'service': 'web', 'id': 'b', 'port': 1, 'host': 'no host', 'check': 'none'},
                   {'service': 'no service', 'id': 'c', 'port': 1, 'check': 'none'})
        agent = self.agent(f'127.0.0.1:{port}')
        for name in ('web a', 'web b'):
            agent.wait_err(f"cannot register '{name}'; retrying: http://127.0.0.1:{port}: no connection\n")
        agent.wait_err("cannot register 'no service'")
        daemon.start()
        agent.wait_err("'web a' is registered: the registry answers again\n")
        agent.wait_err("the registry refuses to register 'web b'; retrying: ")
        self.assertIn('; /host: ', agent.err)
        agent.stop()

    def test_a_removal_that_fails_is_reported(self):
        port = tool_test.free_port()
        daemon = self.daemon(listen=[f'127.0.0.1:{port}'])
        self.write({'service': 'web', 'id': 'a', 'port': 1, 'check': 'none'})
        agent = self.agent(daemon)
        self.wait_ids(daemon, 'web', 'a')
        daemon.stop()
        self.write()
        agent.signal(signal.SIGHUP)
        agent.wait_err("cannot deregister 'web a'; retrying: http://127.0.0.1")
        daemon.start()
        self.wait_ids(daemon, 'web')
        agent.wait_err('web a: deregistered')
        self.assertEqual(agent.err.count('cannot deregister'), 1)

    def test_a_lasting_failure_is_reported_each_minute(self):
        port = tool_test.free_port()
        self.write({'service': 'web', 'id': 'a', 'port': 1, 'check': 'none'})
        agent = self.agent(f'127.0.0.1:{port}')
        run = self.start(f'127.0.0.1:{port}', 'run', '--service', 'web', '-p', '1', '--check', 'none', '--host', 'h', '--',
                         'sleep', '1000')
        for one in (agent, run):
            one.wait_err('cannot register')
        began = tool_test.now_ms()
        for one in (agent, run):
            rt.wait_for(lambda one=one: one.err.count('cannot register') == 2, 90, 'the second report')
            self.assertGreaterEqual(tool_test.now_ms() - began, 55000)
            one.stop()


class Reading(TestCase):
    def check(self, text):
        with open(self.path, 'w', encoding='utf-8') as file:
            file.write(text)
        return self.tool(None, 'agent', '--check-config', self.path)

    def test_a_right_file_is_counted(self):
        self.write({'service': 'web', 'port': 1}, {'service': 'web', 'port': 2, 'check': 'exec:true'})
        self.assertEqual(self.ok(None, 'agent', self.path, '--check-config').out, f'{self.path}: 2 services\n')

    def test_an_error_in_the_file_has_its_place(self):
        service = lambda **fields: json.dumps({'services': [{'service': 'ok', 'port': 1}, fields]})
        base = {'service': 'web', 'port': 1}
        for text, wanted in (
                ('{"services": [\n}', ':2: '), ('[]', 'must be {"services"'), ('{"services": 1}', 'must be {"services"'),
                ('{"services": [], "x": 1}', 'must be {"services"'), ('{"services": [1]}', 'services[0]: a service must be an object'),
                (service(**base, x=1), "services[1]: unknown field 'x'"),
                (service(service='web'), "services[1]: 'service' and 'port' are required"),
                (service(service='web', port='80'), "services[1]: 'port' must be an integer"),
                (service(service='web', port=65536), "services[1]: 'port' must be 1 to 65535"),
                (service(service='', port=1), "services[1]: 'service' is empty"),
                (service(**base, metadata={'a': 1}), "services[1]: metadata 'a' must be text"),
                (service(**base, metadata='a'), "services[1]: 'metadata' must be an object"),
                (service(**base, check='ping'), "services[1]: 'check' must be tcp"),
                (service(**base, fail=0), "services[1]: 'fail' must be 1 to 1000"),
                (service(**base, ttl_ms=999), "services[1]: 'ttl_ms' must be 1000 to 86400000, or 0: no lease"),
                (service(**base, ttl_ms=-1), "services[1]: 'ttl_ms' must be 1000 to 86400000, or 0: no lease"),
                (service(service='ok', port=1), 'services[1]: an earlier service has the same'),
                ('{"services": [{"service": "a", "service": "b", "port": 1}]}', 'duplicate')):
            with self.subTest(text):
                result = self.check(text)
                self.assertEqual((result.code, result.out), (USAGE, ''))
                self.assertIn(wanted, result.err)
        self.assertEqual(self.tool(None, 'agent', '/nonexistent').code, USAGE)
        self.assertEqual(self.tool(None, 'agent').code, USAGE)


if __name__ == '__main__':
    rt.main()
