# SPDX-License-Identifier: MIT
"""A model of the registry's past: random changes, and what was registered after each."""

import random

SERVICES = ('web', 'db', 'web2')
IDS = ('a', 'b', 'c', 'd')


class Model:
    """Makes random changes, and keeps the state of the registry, as lookups returned it, at each revision."""

    def __init__(self, daemon, seed):
        self.daemon = daemon
        self.random = random.Random(seed)
        self.states = {0: {}}
        self.intents = {0: set()}  # the intents that existed at each revision, of `drained`
        self.now = {}  # (service, id) -> (port, status), computed without the registry
        self.drained = set()  # (service, id) that an operator drains, registered or not
        self.latest = 0

    def look(self):
        """Returns the whole state as lookups return it: service -> instances in order."""
        return {service['service']: self.daemon.lookup(service['service'], status='any')['instances']
                for service in self.daemon.get('/v1/services').json()['services']}

    def change(self):
        """Makes one change, keeps the state after it, and checks that state against the model's own."""
        service, name = key = self.random.choice(SERVICES), self.random.choice(IDS)
        what = self.random.random()
        if key not in self.now or what < 0.4:
            port = self.random.randint(1, 65535)
            self.daemon.register(service, name, port=port, metadata={'n': str(self.random.random())})
            self.now[key] = (port, 'draining' if key in self.drained else 'healthy')
        elif what < 0.7:
            self.daemon.deregister(service, name)
            del self.now[key]
        else:
            status = self.random.choice(['draining', 'healthy'])
            self.daemon.set_status(service, name, status, reason=str(self.random.random()))
            self.now[key] = (self.now[key][0], status)
            self.drained.difference_update({key})
            self.drained.update({key} if status == 'draining' else ())
        revision = self.daemon.get('/v1/services').revision
        if revision == self.latest:
            return
        assert revision in (self.latest + 1, self.latest + 2), (revision, self.latest)
        self.states[revision] = self.look()
        self.intents[revision] = self.intents[self.latest + 1] = set(self.drained)
        if revision == self.latest + 2:  # one of the two is about the intent: the first when that is what changes
            self.states[self.latest + 1] = self.states[self.latest if what >= 0.7 else revision]
        self.latest = revision
        found = {(name, each['id']): (each['port'], each['status'])
                 for name, instances in self.states[revision].items() for each in instances}
        assert found == self.now, (revision, found, self.now)

    def changes(self, count):
        for _ in range(count):
            self.change()
