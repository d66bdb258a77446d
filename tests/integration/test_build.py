# SPDX-License-Identifier: MIT
"""The options of ./configure reach the daemon's defaults, its systemd units and its manual."""

import os
import re
import shutil
import subprocess

import rollcall_test as rt


class Directories(rt.TestCase):
    """Configures in an empty folder, so that the configuration of this build does not change."""

    def setUp(self):
        self.configure = os.path.join(rt.ROOT, 'configure')
        if not os.access(self.configure, os.X_OK):
            self.skipTest('there is no configure')
        self.folder = self.directory()

    def run_there(self, *command):
        # Remove the flags and variables that the make which runs this test passes on in the environment.
        env = {name: value for name, value in os.environ.items()
               if not name.startswith(('MAKE', 'MFLAGS', 'ROLLCALL')) and name not in ('SAN', 'COVERAGE', 'FUZZING')}
        return subprocess.run(command, cwd=self.folder, env=env, check=True, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE).stdout

    def build(self, *options):
        """Makes generated files that need no compilation. @return {name: text}"""
        names = ('paths.c', 'systemd/rollcalld.service', 'docs/man/rollcalld.8', 'docs/man/rollcalld.conf.5')
        self.run_there(self.configure, '-q', *options)
        self.run_there('make', *(f'build/default/{name}' for name in names))
        made = {}
        for name in names:
            with open(os.path.join(self.folder, 'build/default', name), encoding='utf-8') as file:
                made[os.path.basename(name)] = file.read()
        return made

    def test_configured_directories_are_everywhere(self):
        made = self.build('--prefix=/opt/r', '--sysconfdir=${prefix}/conf', '--localstatedir=/srv/r')
        self.assertIn('"/opt/r/conf/rollcall/rollcalld.conf"', made['paths.c'])
        self.assertIn('"/srv/r/lib/rollcall"', made['paths.c'])
        self.assertIn('\nReadWritePaths=/srv/r/lib/rollcall\n', made['rollcalld.service'])
        self.assertNotIn('StateDirectory', made['rollcalld.service'])
        for page in ('rollcalld.8', 'rollcalld.conf.5'):
            self.assertIn('/opt/r/conf/rollcall/rollcalld.conf', made[page])
            self.assertIn('/srv/r/lib/rollcall', made[page])
            self.assertNotRegex(made[page], '(/etc|/var/lib)/rollcall')
        self.assertIsNone(re.search('@[a-z_]+@', made['rollcalld.service']))

    def test_default_directories_do_not_depend_on_the_prefix(self):
        made = self.build('--prefix=/opt/r')
        self.assertIn('"/etc/rollcall/rollcalld.conf"', made['paths.c'])
        self.assertIn('"/var/lib/rollcall"', made['paths.c'])
        self.assertIn('\nStateDirectory=rollcall\n', made['rollcalld.service'])
        self.assertNotIn('ReadWritePaths', made['rollcalld.service'])
        self.assertIn('/etc/rollcall/rollcalld.conf', made['rollcalld.8'])
        self.assertIsNone(re.search('@[a-z_]+@', made['rollcalld.service']))


class Units(rt.TestCase):

    def read(self, name):
        with open(os.path.join(rt.ROOT, 'systemd', name), encoding='utf-8') as file:
            return file.read()

    def test_the_socket_is_for_a_group_that_exists_once_sysusers_has_run(self):
        unit = self.read('rollcalld.socket')
        self.assertRegex(unit, '\nSocketMode=0660\n')
        group = re.search('\nSocketGroup=(.+)\n', unit)[1]
        if shutil.which('systemd-sysusers') is None:
            self.skipTest('systemd-sysusers is not installed')
        root = self.directory()
        os.mkdir(os.path.join(root, 'etc'))
        subprocess.run(['systemd-sysusers', f'--root={root}', os.path.join(rt.ROOT, 'systemd/sysusers.conf')],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with open(os.path.join(root, 'etc/group'), encoding='ascii') as file:
            self.assertIn(group, [line.split(':')[0] for line in file])
        with open(os.path.join(root, 'etc/passwd'), encoding='ascii') as file:
            user = re.search('\nUser=(.+)\n', self.read('rollcalld.service.in'))[1]
            self.assertIn(user, [line.split(':')[0] for line in file])


class Built(rt.TestCase):

    def test_the_daemon_has_the_directories_that_it_was_configured_with(self):
        with open(os.path.join(rt.BUILD, 'paths.c'), encoding='ascii') as file:
            conf, state = re.findall('= "(.*)";', file.read())
        help_text = subprocess.run([rt.ROLLCALLD, '--help'], stdout=subprocess.PIPE, text=True, check=True).stdout
        self.assertIn(f'instead of {conf}\n', help_text)
        self.assertIn(f'default {state};', help_text)


if __name__ == '__main__':
    rt.main()
