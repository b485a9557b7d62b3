// A portal of its own: the built program with the demo company, a free port of this machine and an empty data folder.

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

/** One person of the demo company, as `optimus demo cast --json` prints it. */
export interface CastMember {
  login: string;
  password: string;
  employee_id: string;
  name: string;
  title: string;
  manager_id: string | null;
  roles: string[];
}

const READY_WITHIN_MS = 60_000;
const STOPPED_WITHIN_MS = 15_000;

export class Portal {
  cast: CastMember[] = [];
  /** Whether it was away for a while, which browsers complain about. */
  wasStopped = false;
  private process: ChildProcess | undefined;
  private output = '';

  private constructor(
    readonly url: string,
    readonly dataDir: string,
    private readonly env: NodeJS.ProcessEnv,
  ) {}

  /** Starts a portal; `settings` are further `OPTIMUS_*` variables. */
  static async open(settings: Record<string, string> = {}): Promise<Portal> {
    const dataDir = await mkdtemp(join(tmpdir(), 'optimus-e2e-'));
    const listen = `127.0.0.1:${await freePort()}`;
    // What configures a developer's own portal must not reach this one.
    const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('OPTIMUS_'));
    const portal = new Portal(`http://${listen}`, dataDir, {
      ...Object.fromEntries(inherited),
      OPTIMUS_LISTEN: listen,
      OPTIMUS_DATA_DIR: dataDir,
      ...settings,
    });
    await portal.start();
    portal.cast = JSON.parse(await portal.command('demo', 'cast', '--json'));
    return portal;
  }

  /** Starts the server (again, on the same data and port) and waits until it is ready. */
  async start(): Promise<void> {
    const server = spawn(program(), ['serve', '--demo'], {
      cwd: this.dataDir,
      env: this.env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.process = server;
    for (const stream of [server.stdout, server.stderr]) {
      stream.on('data', (chunk) => (this.output += chunk));
    }
    for (const deadline = Date.now() + READY_WITHIN_MS; Date.now() < deadline; await sleep(50)) {
      if (server.exitCode !== null || server.signalCode !== null) {
        throw new Error(`the portal ended before it was ready:\n${this.output}`);
      }
      if (await fetch(`${this.url}/readyz`).then((answer) => answer.ok, () => false)) {
        return;
      }
    }
    throw new Error(`the portal was not ready within ${READY_WITHIN_MS} ms:\n${this.output}`);
  }

  /** Ends the server by a signal. All but SIGKILL must be obeyed in good time. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const server = this.process;
    this.process = undefined;
    if (!server || server.exitCode !== null || server.signalCode !== null) {
      return;
    }
    this.wasStopped = true;
    const ended = once(server, 'exit');
    server.kill(signal);
    const inTime = await Promise.race([ended.then(() => true), sleep(STOPPED_WITHIN_MS, false, { ref: false })]);
    if (!inTime) {
      server.kill('SIGKILL');
      await ended;
      throw new Error(`the portal did not obey ${signal} within ${STOPPED_WITHIN_MS} ms:\n${this.output}`);
    }
  }

  /** Stops the server and removes its data. */
  async close(): Promise<void> {
    try {
      await this.stop();
    } finally {
      await rm(this.dataDir, { recursive: true, force: true });
    }
  }

  /** Runs another `optimus` command on the same data and returns what it printed; a failure throws with its output. */
  async command(...args: string[]): Promise<string> {
    const { stdout } = await promisify(execFile)(program(), args, { cwd: this.dataDir, env: this.env });
    return stdout;
  }

  /** Everything the server has printed so far. */
  log(): string {
    return this.output;
  }

  /** The member of the cast with this login. */
  member(login: string): CastMember {
    const member = this.cast.find((one) => one.login === login);
    if (!member) {
      throw new Error(`${login} is not in the cast: ${this.cast.map((one) => one.login).join(', ')}`);
    }
    return member;
  }

  /** The first member of the cast with this role. */
  withRole(role: string): CastMember {
    const member = this.cast.find((one) => one.roles.includes(role));
    if (!member) {
      throw new Error(`nobody of the cast is ${role}`);
    }
    return member;
  }

  /** Who reports to `login` directly. */
  reports(login: string): CastMember[] {
    const { employee_id } = this.member(login);
    return this.cast.filter((one) => one.manager_id === employee_id);
  }
}

function program(): string {
  const path = process.env.OPTIMUS_BIN;
  if (!path) {
    throw new Error('OPTIMUS_BIN must name the built optimus program; bin/test --browser sets it');
  }
  return path;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (!address || typeof address === 'string') {
    throw new Error('the listener has no port');
  }
  return address.port;
}
