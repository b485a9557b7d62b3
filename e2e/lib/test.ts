// What every browser test starts from: `import { axe, expect, shots, test } from '../lib/test.ts'`.
//
// `portal` is shared by the tests of one worker, so a test leaves rules and people as it found them and says things
// that no other test says.

import { type BrowserContext, type BrowserContextOptions, test as base, expect, type Page } from '@playwright/test';
import { type CastMember, Portal } from './portal.ts';

export { axe } from './axe.ts';
export type { CastMember } from './portal.ts';
export { Portal } from './portal.ts';
export { shots } from './shots.ts';
export { expect };

interface Fixtures {
  /** Opens a page in a browser context of its own: another person, or one without JavaScript. */
  another: (options?: BrowserContextOptions) => Promise<Page>;
  /** Signs in as a member of the cast and returns who that is. */
  signIn: (page: Page, login: string) => Promise<CastMember>;
  /** Where the portal said something it should not: third parties, script errors, refusals of the content policy. */
  complaints: string[];
}

export const test = base.extend<Fixtures, { portal: Portal }>({
  portal: [
    async ({}, use) => {
      const portal = await Portal.open();
      await use(portal);
      await portal.close();
    },
    { scope: 'worker', timeout: 90_000 },
  ],

  baseURL: async ({ portal }, use) => use(portal.url),

  complaints: [
    async ({ context, portal }, use) => {
      const complaints: string[] = [];
      listen(context, portal, complaints);
      await use(complaints);
      expect(complaints).toEqual([]);
    },
    { auto: true },
  ],

  another: async ({ browser, portal, complaints, contextOptions, locale, timezoneId }, use) => {
    const contexts: BrowserContext[] = [];
    await use(async (options) => {
      const context = await browser.newContext({
        baseURL: portal.url,
        locale,
        timezoneId,
        ...contextOptions,
        ...options,
      });
      contexts.push(context);
      listen(context, portal, complaints);
      return context.newPage();
    });
    await Promise.all(contexts.map((context) => context.close()));
  },

  signIn: async ({ portal }, use) => {
    await use(async (page, login) => {
      const member = portal.member(login);
      await page.goto('/sign-in');
      await page.locator('input[name="login"]').fill(member.login);
      await page.locator('input[name="password"]').fill(member.password);
      await page.getByRole('button', { name: 'Sign in', exact: true }).click();
      await page.waitForURL((url) => url.pathname !== '/sign-in');
      return member;
    });
  },
});

function listen(context: BrowserContext, portal: Portal, complaints: string[]): void {
  context.on('request', (request) => {
    const url = new URL(request.url());
    if (url.protocol.startsWith('http') && url.origin !== portal.url) {
      complaints.push(`a request to a third party: ${url}`);
    }
  });
  context.on('weberror', (error) => complaints.push(`an uncaught error: ${error.error()}`));
  context.on('console', (message) => {
    // An answer of 4xx is what many a test is about, and a socket cannot stand while the portal does not.
    const expected = ['Failed to load resource', 'HTTP Authentication failed', ...(portal.wasStopped ? ['WebSocket connection to'] : [])];
    if (message.type() === 'error' && !expected.some((words) => message.text().includes(words))) {
      complaints.push(`on the console of ${message.page()?.url()}: ${message.text()}`);
    }
  });
}
