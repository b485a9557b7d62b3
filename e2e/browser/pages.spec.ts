// Every page, as three kinds of people see it: accessible, at home on every width, and usable by keyboard alone.

import type { Locator, Page } from '@playwright/test';
import { endReview, openReview } from '../lib/acts.ts';
import { axe, expect, type Portal, shots, test } from '../lib/test.ts';

// Many pages: both workers take part.
test.describe.configure({ mode: 'parallel' });

/** A page by the name of its screenshots, or where it is found from a page before. */
type Stop = [name: string, where: string | ((page: Page) => Promise<void>)];

function everybody(portal: Portal, login: string): Stop[] {
  const { employee_id: me } = portal.member(login);
  const { employee_id: other } = portal.member('viktor.novak');
  return [
    ['home', '/'],
    ['people', '/people'],
    ['people-found', '/people?q=sales'],
    ['people-none', '/people?q=nobody+of+that+name'],
    ['profile-own', `/people/${me}`],
    ['profile-edit', `/people/${me}/edit`],
    ['profile-other', `/people/${other}`],
    ['org', '/org'],
    ['org-person', `/org?person=${other}`],
    ['chat', '/chat'],
    ['chat-new', '/chat/new'],
    ['looked-at', '/looked-at'],
    ['corrections', '/corrections'],
    ['correction-new', `/people/${me}/corrections/new?attribute=emails`],
    ['account', '/account'],
  ];
}

const conversations: Stop[] = [
  ['chat-direct', clicking('/chat', (page) => page.getByRole('link', { name: /Noah Petersen/ }))],
  ['chat-group', clicking('/chat', (page) => page.getByRole('link', { name: /Line 2 customers/ }))],
  ['chat-members', clicking('/chat', (page) => page.getByRole('link', { name: /Line 2 customers/ }), (page) => page.getByRole('link', { name: 'Add people' }))],
];

const superior = (portal: Portal): Stop[] => {
  const { employee_id: subject } = portal.member('noah.petersen');
  return [
    ['home', '/'],
    ['profile-report', `/people/${subject}`],
    ['review-whom', '/reviews/new'],
    ['review-new', `/reviews/new?subject=${subject}`],
    ['review', (page) => openReview(page, subject, 'Every page of a review is looked at by this test.')],
    ['reviews', '/reviews'],
    [
      'review-ended',
      async (page) => {
        await page.getByRole('button', { name: 'Go on reading' }).click();
        await endReview(page, 'The pages are fine.');
      },
    ],
  ];
};

const subject: Stop[] = [['looked-at-found', '/looked-at']];

const console: Stop[] = [
  ['rules', '/console/rules'],
  ['rule-new', '/console/rules?rule=new'],
  ['rules-history', '/console/rules/history'],
  ['oversight', '/console/oversight'],
  ['oversight-new', '/console/oversight?unit=new'],
  ['oversight-history', '/console/oversight/history'],
  ['source-order', '/console/source-order'],
  ['source-order-history', '/console/source-order/history'],
  ['corrections-policy', '/console/corrections'],
  ['corrections-policy-history', '/console/corrections/history'],
  ['quality', '/console/quality'],
  ['sources', '/console/sources'],
  ['source-new', '/console/sources/new'],
  ['source', clicking('/console/sources', (page) => page.getByRole('link', { name: 'Northwind ERP', exact: true }))],
  ['source-run', clicking('/console/sources', (page) => page.getByRole('table').getByRole('link', { name: 'Done' }))],
  ['roles', '/console/people'],
  ['roles-person', clicking('/console/people?q=whitfield', (page) => page.getByRole('link', { name: 'Grace Whitfield', exact: true }))],
  ['audit', '/console/audit'],
];

/** Goes to a page and from there by links in its content. */
function clicking(path: string, ...links: ((page: Page) => Locator)[]): (page: Page) => Promise<void> {
  return async (page) => {
    await page.goto(path);
    for (const link of links) {
      const before = page.url();
      await link(page).first().click();
      await page.waitForURL((url) => url.href !== before);
    }
  };
}

async function follow(page: Page, where: Stop[1]): Promise<void> {
  if (typeof where === 'string') {
    const answer = await page.goto(where);
    expect(answer?.status(), where).toBe(200);
  } else {
    await where(page);
  }
}

/** One h1, levels that never jump, and each landmark once. */
async function expectOutline(page: Page): Promise<void> {
  await expect(page.getByRole('heading', { level: 1 })).toHaveCount(1);
  await expect(page.getByRole('banner')).toHaveCount(1);
  await expect(page.getByRole('main')).toHaveCount(1);
  await expect(page.getByRole('navigation', { name: /^Main/ })).toHaveCount(1);
  const levels = await page.getByRole('heading').evaluateAll((all) => all.map((one) => Number(one.tagName.slice(1))));
  let highest = 0;
  for (const level of levels) {
    // The panes of chat begin with the list, before the page's own heading.
    expect(level, `levels of headings: ${levels}`).toBeLessThanOrEqual(Math.max(highest, 1) + 1);
    highest = Math.max(highest, level);
  }
}

/** Tab reaches everything that can be used, and everything shows that it has the focus. */
async function expectKeyboard(page: Page): Promise<void> {
  const count = await page.evaluate(() => {
    const all = [...document.querySelectorAll<HTMLElement>('a[href], button, input, select, textarea, summary, [tabindex]')];
    const radios = new Map<string, HTMLInputElement>();
    const usable = all.filter((one) => {
      if (one.tabIndex < 0 || one.matches(':disabled') || !one.checkVisibility({ visibilityProperty: true })) {
        return false;
      }
      if (one instanceof HTMLInputElement && one.type === 'radio') {
        // A group is one stop: its chosen one, or the first.
        const chosen = document.querySelector(`input[type=radio][name="${one.name}"]:checked`);
        const stop = (chosen as HTMLInputElement | null) ?? radios.get(one.name) ?? one;
        radios.set(one.name, stop);
        return stop === one;
      }
      return !(one instanceof HTMLInputElement && one.type === 'hidden');
    });
    const state = { left: new Set<Element>(usable), faint: new Set<string>() };
    Object.assign(window, { keyboard: state });
    document.addEventListener('focusin', ({ target }) => {
      const one = target as HTMLElement;
      state.left.delete(one);
      const shown = (element: Element | null) => {
        const style = element && getComputedStyle(element);
        return style && ((style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0) || style.boxShadow !== 'none');
      };
      if (!shown(one) && !shown(one.parentElement)) {
        state.faint.add(one.outerHTML.slice(0, 200));
      }
    });
    return usable.length;
  });
  expect(count, 'things to use').toBeGreaterThan(3);
  const left = () =>
    page.evaluate(() => {
      const { keyboard } = window as unknown as { keyboard: { left: Set<Element>; faint: Set<string> } };
      return {
        left: [...keyboard.left].map((one) => one.outerHTML.slice(0, 200)),
        faint: [...keyboard.faint],
      };
    });
  for (let pressed = 0; pressed < count + 20; pressed += 1) {
    await page.keyboard.press('Tab');
  }
  expect(await left(), `by keyboard on ${page.url()}`).toEqual({ left: [], faint: [] });
}

async function walk(page: Page, who: string, stops: Stop[]): Promise<void> {
  for (const [name, where] of stops) {
    await test.step(name, async () => {
      await follow(page, where);
      await expectOutline(page);
      await axe(page);
      await shots(page, `${who}-${name}`);
      await expectKeyboard(page);
    });
  }
}

test.describe('every page is accessible, fits every width and can be used by keyboard', () => {
  test.setTimeout(240_000);

  test('for somebody without a role', async ({ page, portal, signIn }) => {
    await signIn(page, 'grace.whitfield');
    await walk(page, 'employee', [...everybody(portal, 'grace.whitfield'), ...conversations]);
  });

  test('for a superior, and for whose words were read', async ({ page, another, portal, signIn }) => {
    await signIn(page, 'priya.raman');
    await walk(page, 'superior', superior(portal));
    const reviewed = await another();
    await signIn(reviewed, 'noah.petersen');
    await walk(reviewed, 'reviewed', subject);
  });

  test('for who sets policies and runs the portal', async ({ page, portal, signIn }) => {
    const { login } = portal.withRole('policy_administrator');
    expect(portal.member(login).roles).toContain('system_administrator');
    await signIn(page, login);
    await walk(page, 'console', console);
  });
});

test('the skip link comes first and leads to the content', async ({ page, signIn }) => {
  await signIn(page, 'grace.whitfield');
  await page.goto('/people');
  await page.keyboard.press('Tab');
  const skip = page.getByRole('link', { name: 'Skip to content' });
  await expect(skip).toBeFocused();
  await expect(skip).toBeInViewport();
  await page.keyboard.press('Enter');
  await expect(page.locator('#main')).toBeFocused();
  await page.keyboard.press('Tab');
  await expect(page.locator('#main :focus')).toHaveCount(1);
});

test('Escape closes what is open and gives the focus back', async ({ page, signIn }) => {
  const { employee_id } = await signIn(page, 'grace.whitfield');
  await page.goto(`/people/${employee_id}`);
  for (const opener of [page.locator('.account-menu > summary'), page.locator('dl.fields summary').first()]) {
    const details = opener.locator('..');
    // The script that listens may still be on its way.
    await expect(async () => {
      if (!(await details.evaluate((one: HTMLDetailsElement) => one.open))) {
        await opener.press('Enter');
      }
      await page.keyboard.press('Escape');
      await expect(details).not.toHaveAttribute('open', { timeout: 500 });
    }).toPass();
    await expect(opener).toBeFocused();
  }
});

test('a click elsewhere closes the account menu', async ({ page, signIn }) => {
  await signIn(page, 'grace.whitfield');
  await page.goto('/people');
  const menu = page.locator('.account-menu');
  await expect(async () => {
    if (!(await menu.evaluate((one: HTMLDetailsElement) => one.open))) {
      await menu.locator('summary').click();
    }
    await page.getByRole('heading', { level: 1 }).click();
    await expect(menu).not.toHaveAttribute('open', { timeout: 500 });
  }).toPass();
});

test('the theme is chosen in the account menu and kept', async ({ page, signIn }) => {
  await signIn(page, 'grace.whitfield');
  await page.goto('/people');
  for (const [label, theme] of [['Dark', 'dark'], ['Light', 'light']]) {
    await page.locator('.account-menu > summary').click();
    await page.getByRole('button', { name: label, exact: true }).click();
    await expect(page.locator('html')).toHaveAttribute('data-theme', theme);
    await expect(page).toHaveURL(/\/people$/);
  }
});

test('a page that is not there is accessible too and leads back', async ({ page, signIn }) => {
  await page.goto('/no-such-page');
  await axe(page);
  await shots(page, 'nothing-here');
  await signIn(page, 'grace.whitfield');
  await page.goto('/no-such-page');
  await page.getByRole('link', { name: 'Go to the start page' }).click();
  await expect(page.getByRole('navigation', { name: 'Main', exact: true })).toBeVisible();
});
