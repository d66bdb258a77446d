# SPDX-License-Identifier: MIT
"""All kinds of requests at once for a while: descriptors, threads and memory must return to what they were."""

import os
import random
import time

import rollcall_test as rt

WORKERS = 8
SECONDS = rt.seconds(3)


class Soak(rt.TestCase):

    def setUp(self):
        self.registry = self.daemon(options=['--events-max-count=5000'])

    def descriptors(self):
        return len(os.listdir(f'/proc/{self.registry.pid}/fd'))

    def leave(self, chance):
        """Sends none, a part or all of a request and closes the connection."""
        raw = self.registry.raw()
        body = b'{"host":"10.0.0.1","port":80}'
        request = (b'PUT /v1/services/left/instances/%d HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n'
                   b'Content-Length: %d\r\n\r\n' % (chance.randrange(50), len(body))) + body
        raw.send(request[:chance.choice((0, 10, 60, len(request) - 5, len(request)))])
        raw.close()

    def work(self, number, end):
        """Makes random requests and checks each answer."""
        chance = random.Random(number)
        client = self.registry.client()
        service = f'service-{number % 4}'
        while time.monotonic() < end:
            name = f'i{number}-{chance.randrange(50)}'
            choice = chance.randrange(12)
            if choice < 3:
                client.register(service, name, metadata={'n': str(chance.random())})
            elif choice == 3:
                client.deregister(service, name)
            elif choice == 4:
                response = client.try_heartbeat(service, name)
                self.assertIn(response.status, (200, 404), response)
            elif choice == 5:
                self.assertIn(client.try_pick(service, strategy=chance.choice(
                    ('round_robin', 'weighted_round_robin', 'consistent_hash', 'random', 'least_loaded'))).status,
                              (200, 404, 503))
            elif choice == 6:
                self.assertIn(client.get(f'/v1/services/{service}?status=any').status, (200, 404))
            elif choice == 7:
                client.ok(client.get('/metrics'))
            elif choice == 8:
                self.assertIn(client.get('/v1/events?limit=20').status, (200, 410))
            elif choice == 9:
                self.assertEqual(client.post(f'/v1/services/{service}/instances', b'{', {
                    'Content-Type': 'application/json'}).status, 400)
            elif choice == 10:
                self.leave(chance)
            else:
                client.close()
        client.close()

    def test_descriptors_threads_and_memory_come_back(self):
        def load(round_number):
            end = time.monotonic() + SECONDS
            rt.parallel(WORKERS, lambda i: self.work(round_number * WORKERS + i, end))
            self.registry.close()
            rt.wait_for(lambda: self.descriptors() <= descriptors, 15,
                        f'{descriptors} open descriptors, not {self.descriptors()}')

        self.registry.register('web', 'a')
        self.registry.lookup('web')
        self.registry.events()
        self.registry.close()
        descriptors = self.descriptors()
        threads = sorted(self.registry.threads().values())
        load(0)
        rss = self.registry.rss_bytes()
        load(1)
        self.assertEqual(sorted(self.registry.threads().values()), threads)
        self.assertEqual(self.registry.get('/healthz').status, 200)
        if not rt.SANITIZED:
            self.assertLess(self.registry.rss_bytes(), 1.3 * rss + 2**20)
        found = {service: len(self.registry.ids(service, status='any')) for service in
                 [f'service-{i}' for i in range(4)] + ['left', 'web']}
        self.registry.restart()
        self.assertEqual({service: len(self.registry.ids(service, status='any')) for service in found}, found)


if __name__ == '__main__':
    rt.main()
