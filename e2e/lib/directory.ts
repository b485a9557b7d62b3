// A directory that sends its people by itself: a source of kind `scim`, and a client of `/scim/v2` for it.

import { expect } from '@playwright/test';
import type { Portal } from './portal.ts';

export class Directory {
  private constructor(
    private readonly url: string,
    private readonly token: string,
  ) {}

  /** Connects the source. Its token is told once, by the command. */
  static async of(portal: Portal): Promise<Directory> {
    const { token } = JSON.parse(await portal.command('source', 'add', 'scim', 'Directory', '--json'));
    return new Directory(`${portal.url}/scim/v2`, token);
  }

  async send(method: string, path: string, body: object) {
    const answer = await fetch(this.url + path, {
      method,
      headers: { authorization: `Bearer ${this.token}`, 'content-type': 'application/scim+json' },
      body: JSON.stringify(body),
    });
    expect(answer.ok, `${method} ${path}: ${answer.status}`).toBe(true);
    return answer.json();
  }
}
