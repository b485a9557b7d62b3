// The main job of the portal, from end to end, with several browsers at once: a value and the rule that overrides it,
// a chat, a review of it and its trace, and the way back.

import { editProfile, endReview, expectNothingHere, fillRule, openReview, thread, value, write } from '../lib/acts.ts';
import { expect, test } from '../lib/test.ts';

const OWN_TITLE = 'Key Accounts and Rail';
/** What the story of the demo company begins with. */
const STORY_TITLE = 'Rail & Marine Partnerships';
const ERP_TITLE = 'Key Account Manager';

test('an own value, a rule that overrides it, and the way back', async ({ another, portal, signIn }) => {
  const graces = await another();
  const console = await another();
  const grace = await signIn(graces, 'grace.whitfield');
  await signIn(console, portal.withRole('policy_administrator').login);
  const profile = `/people/${grace.employee_id}`;
  const title = value(graces, 'Job title');

  await test.step('Grace writes her title and what she is called', async () => {
    await editProfile(graces, grace.employee_id, { 'Job title': OWN_TITLE, Called: 'Gracie' });
    await expect(graces).toHaveURL(profile);
    await expect(graces.getByRole('status')).toContainText('Your profile is saved.');
    await expect(title.locator('dd.value')).toContainText(OWN_TITLE);
    await expect(title.locator('dd.value')).toContainText(`ERP says “${ERP_TITLE}”`);
    await expect(title.locator('summary')).toContainText('Yours wins');
    await expect(value(graces, 'Called').locator('summary')).toContainText('Yours wins');
  });

  await test.step('and is told why hers is shown', async () => {
    await title.locator('summary').click();
    const why = title.getByRole('group', { name: `Why “${OWN_TITLE}”` });
    const sides = why.locator('.why__value');
    await expect(sides).toHaveCount(2);
    await expect(sides.nth(0)).toContainText(ERP_TITLE);
    await expect(sides.nth(0)).toContainText('Kept');
    await expect(sides.nth(1)).toContainText(OWN_TITLE);
    await expect(sides.nth(1)).toContainText('Shown');
    await expect(why).toContainText(/Rule \d+, ERP fills blanks/);
  });

  let number = '';
  await test.step('who sets policies sees whom a rule would change, before it is set', async () => {
    await console.getByRole('navigation', { name: 'Main', exact: true }).getByRole('link', { name: 'Sourcing rules' }).click();
    await expect(console.getByRole('heading', { level: 1 })).toHaveText('Sourcing rules');
    const form = await fillRule(console, {
      attribute: 'Job title',
      unit: 'Sales',
      strength: 'ERP always wins',
      why: 'Titles in offers have to match the contracts',
    });
    await form.getByRole('button', { name: 'Show what would change' }).click();
    const impact = console.getByRole('region', { name: 'What would change' });
    await expect(impact).toContainText('Nothing is written yet');
    const changed = impact.getByRole('row', { name: /Grace Whitfield/ });
    await expect(changed.locator('del')).toHaveText(OWN_TITLE);
    await expect(changed.locator('ins')).toHaveText(ERP_TITLE);

    await graces.reload();
    await expect(title.locator('summary')).toContainText('Yours wins');
  });

  await test.step('and sets it', async () => {
    await console.getByRole('button', { name: 'Set rule' }).click();
    await expect(console.getByRole('status').filter({ hasText: 'The rule is set and holds from now on.' })).toBeVisible();
    number = new URL(console.url()).searchParams.get('rule') ?? '';
    expect(number).toMatch(/^\d+$/);
    await expect(console.getByRole('row', { name: /Job title/ }).filter({ hasText: 'Sales' })).toContainText('ERP always wins');
  });

  await test.step('Grace sees the ERP’s title, and that hers is kept', async () => {
    await graces.reload();
    await expect(title.locator('dd.value')).toContainText(ERP_TITLE);
    await expect(title.locator('dd.value')).toContainText(`You wrote “${OWN_TITLE}”, which is kept.`);
    await expect(title.locator('summary')).toContainText('ERP wins');
    await title.locator('summary').click();
    const why = title.getByRole('group', { name: `Why “${ERP_TITLE}”` });
    await expect(why).toContainText(`Rule ${number}, ERP always wins`);
    await expect(why).toContainText('If the rule is lifted, your own value returns by itself.');

    await graces.getByRole('link', { name: 'Edit profile' }).click();
    const locked = graces.getByRole('group', { name: 'Job title' });
    await expect(locked).toContainText(`Locked by rule ${number}`);
    await expect(locked).toContainText(OWN_TITLE);
    await expect(graces.getByLabel(/^Job title/).and(graces.locator('input'))).toHaveCount(0);
  });

  await test.step('what she edits elsewhere leaves the kept title alone', async () => {
    await editProfile(graces, grace.employee_id, { Called: 'Gracie W' });
    await expect(title.locator('dd.value')).toContainText(`You wrote “${OWN_TITLE}”, which is kept.`);
  });

  await test.step('the rule is taken back and her title returns', async () => {
    await console.getByRole('link', { name: 'Versions' }).click();
    const versions = console.getByRole('main').getByRole('listitem').filter({ has: console.getByRole('heading', { level: 2 }) });
    await expect(versions.first()).toContainText('In force');
    await expect(versions.first()).toContainText('“Titles in offers have to match the contracts”');
    await versions.nth(1).getByLabel(/^Why go back/).fill('Sales asked for their own titles');
    await versions.nth(1).getByRole('button', { name: /^Go back to version/ }).click();
    await expect(console.getByRole('status').filter({ hasText: 'The old version is in force again.' })).toBeVisible();
    await expect(versions.first()).toContainText('“Sales asked for their own titles”');

    await graces.reload();
    await expect(title.locator('dd.value')).toContainText(OWN_TITLE);
    await expect(title.locator('summary')).toContainText('Yours wins');
  });

  await test.step('Grace takes her own title back and the ERP’s stands alone', async () => {
    await editProfile(graces, grace.employee_id, { 'Job title': '', Called: '' });
    await expect(title.locator('dd.value')).toHaveText(ERP_TITLE);
    await expect(title.locator('summary')).toContainText('ERP only');
    await editProfile(graces, grace.employee_id, { 'Job title': STORY_TITLE });
    await expect(title.locator('summary')).toContainText('Yours wins');
  });
});

test('two people write with each other, live, and lose nothing when the portal goes away', async ({ another, portal, signIn }) => {
  const [graces, noahs] = [await another(), await another()];
  const grace = await signIn(graces, 'grace.whitfield');
  const noah = await signIn(noahs, 'noah.petersen');

  await test.step('both open their conversation', async () => {
    for (const [page, other] of [[graces, noah], [noahs, grace]] as const) {
      await page.goto(`/people/${other.employee_id}`);
      await page.getByRole('link', { name: /^Write/ }).first().click();
      await expect(page.getByRole('heading', { level: 1 })).toHaveText(other.name);
    }
    // Each sees the other come: both are connected, and from here on no page is loaded again.
    await expect(graces.getByRole('img', { name: 'Noah Petersen, online' }).first()).toBeVisible();
    await expect(noahs.getByRole('img', { name: 'Grace Whitfield, online' }).first()).toBeVisible();
    for (const page of [graces, noahs]) {
      await page.evaluate(() => Object.assign(window, { neverReloaded: true }));
    }
  });

  await test.step('what one writes stands before the other at once, and is acknowledged', async () => {
    await write(graces, 'Kestrel at two is fine, I take it.');
    await expect(thread(noahs).getByText('Kestrel at two is fine, I take it.')).toBeVisible();
    await expect(thread(graces).getByText('Seen by Noah')).toBeVisible();
    await noahs.getByRole('textbox', { name: 'Message' }).fill('Thank you. I send');
    await expect(graces.getByText('Noah is writing')).toBeVisible();
    await write(noahs, 'Thank you. I send you the drawings.');
    await expect(thread(graces).getByText('Thank you. I send you the drawings.')).toBeVisible();
    await expect(graces.getByRole('textbox', { name: 'Message' })).toHaveValue('');
  });

  await test.step('without the portal both write on, and their words wait', async () => {
    await portal.stop();
    for (const page of [graces, noahs]) {
      await expect(page.getByText('No connection. What you write waits here')).toBeVisible();
    }
    await write(graces, 'Is this still there?');
    await write(noahs, 'It should be, in a moment.');
    await expect(thread(graces).getByText('Waits for the connection')).toBeVisible();
    await expect(thread(noahs).getByText('Waits for the connection')).toBeVisible();
  });

  const said = [
    'Kestrel at two is fine, I take it.',
    'Thank you. I send you the drawings.',
    'Is this still there?',
    'It should be, in a moment.',
  ];
  await test.step('when it is back, everything is there once, in both browsers', async () => {
    await portal.start();
    for (const page of [graces, noahs]) {
      await expect(page.getByText('No connection.')).toBeHidden({ timeout: 40_000 });
      for (const words of said) {
        await expect(thread(page).getByText(words)).toHaveCount(1);
      }
      await expect(thread(page).getByText('Waits for the connection')).toHaveCount(0);
      expect(await page.evaluate(() => 'neverReloaded' in window)).toBe(true);
    }
  });

  const order = (page: typeof graces) => thread(page).locator('.msg__body').allInnerTexts();
  await test.step('and in the same order, also for who comes new', async () => {
    const live = await order(graces);
    expect(await order(noahs)).toEqual(live);
    await graces.reload();
    await expect(thread(graces).getByText(said[3])).toHaveCount(1);
    expect(await order(graces)).toEqual(live);
    expect(live.filter((words) => said.includes(words.trim()))).toHaveLength(said.length);
  });

  await test.step('what is not seen yet is counted while it comes', async () => {
    await noahs.goto('/chat');
    const entry = noahs.getByRole('region', { name: 'Conversation list' }).getByRole('link', { name: /Grace Whitfield/ });
    await expect(entry.getByRole('img', { name: 'Grace Whitfield, online' })).toBeVisible();
    await expect(entry).not.toContainText('unread');
    await write(graces, 'One for later.');
    await expect(entry).toContainText('One for later.');
    await expect(entry).toContainText('1 unread');
    await noahs.goto('/');
    await expect(noahs.getByRole('navigation', { name: 'Main', exact: true }).getByRole('link', { name: /^Chat/ })).toContainText('1 unread');
    await noahs.goto('/chat');
    await entry.click();
    await expect(thread(noahs).getByText('One for later.')).toBeVisible();
    await expect(noahs.getByText('New since')).toBeVisible();
    await noahs.goto('/chat');
    await expect(entry).not.toContainText('unread');
  });
});

test('a superior reads under a reason, and the person sees every look', async ({ another, portal, signIn }) => {
  const [priyas, noahs] = [await another(), await another()];
  await signIn(priyas, 'priya.raman');
  const noah = await signIn(noahs, 'noah.petersen');
  const reason = 'Aldgate says that 48 wheelsets were promised for 20 November. I need to see what was promised.';
  const finding = 'A date was promised that could not hold. Noah has set it right himself.';

  await test.step('Priya opens a review of what Noah wrote', async () => {
    await openReview(priyas, noah.employee_id, reason);
    const band = priyas.getByRole('region', { name: 'Review in progress' });
    await expect(band.getByRole('heading', { level: 1 })).toHaveText('You are reading Noah Petersen’s words');
    await expect(band).toContainText('Client complaint, case C-2291');
    await expect(band).toContainText('Every page you open; Noah sees it');
  });
  const review = new URL(priyas.url()).pathname;

  await test.step('she reads his words; those of people outside her line stay hidden', async () => {
    const read = priyas.locator('.msgs--review');
    const own = read.locator('.rv--subject').filter({ hasText: 'They want the first 24 wheelsets by Friday 27' });
    await expect(own).toHaveCount(1);
    const outside = read.locator('.rv').filter({ hasText: 'Marta Kowalczyk' });
    await expect(outside.first()).toContainText('Words of somebody outside your line. Hidden by the oversight policy');
    await expect(outside.first().locator('.redacted')).toBeVisible();
    expect(await priyas.content()).not.toContain('Half rate today, full rate Monday');
    await expect(priyas.getByRole('complementary', { name: 'Reason and record' })).toContainText('Read');
  });

  await test.step('she looks for words', async () => {
    const search = priyas.getByRole('search', { name: 'In this review' });
    await search.getByRole('searchbox').fill('wheelsets');
    await search.getByRole('button', { name: 'Search' }).click();
    const lines = priyas.locator('.msgs--review .rv');
    await expect(lines.locator('mark').first()).toHaveText(/wheelsets/i);
    await expect(lines.filter({ hasNot: priyas.locator('mark') })).toHaveCount(0);
    await expect(priyas.getByRole('complementary', { name: 'Reason and record' })).toContainText('Searched “wheelsets”');
  });

  await test.step('Noah knows while it goes on', async () => {
    await noahs.goto('/looked-at');
    await expect(noahs.getByRole('status')).toContainText('A review of your chats is open');
    await expect(noahs.getByRole('main')).toContainText(reason);
  });

  await test.step('a colleague, one who talks with him and an administrator find nothing there', async () => {
    await noahs.goto('/chat');
    await noahs.getByRole('region', { name: 'Conversation list' }).getByRole('link', { name: /Noah and Aldgate desk/ }).click();
    await expect(noahs.getByRole('heading', { level: 1 })).toHaveText('Noah and Aldgate desk');
    const conversation = new URL(noahs.url()).pathname;
    const strangers = ['camille.laurent', 'grace.whitfield', portal.withRole('system_administrator').login, portal.withRole('policy_administrator').login];
    for (const login of new Set(strangers)) {
      const page = await another();
      await signIn(page, login);
      for (const path of [review, conversation, `/reviews/new?subject=${noah.employee_id}`]) {
        await expectNothingHere(page, path);
      }
      await page.goto(`/people/${noah.employee_id}`);
      await expect(page.getByRole('link', { name: 'Review words' })).toHaveCount(0);
      await page.context().close();
    }
  });

  await test.step('Priya ends it with a finding, and can read no more', async () => {
    await endReview(priyas, finding);
    await priyas.goto(review);
    await expect(priyas.getByRole('main')).toContainText('Nothing can be read under it any more.');
    await expect(priyas.getByRole('main')).toContainText(finding);
    await expect(priyas.locator('.msgs--review')).toHaveCount(0);
  });

  await test.step('Noah sees who looked, why, at what, and what was found', async () => {
    await noahs.goto('/');
    await noahs.getByRole('navigation', { name: 'Main', exact: true }).getByRole('link', { name: 'Who looked' }).click();
    const look = noahs.getByRole('article').filter({ hasText: 'Priya Raman' }).first();
    await look.locator('details').evaluate((one: HTMLDetailsElement) => (one.open = true));
    for (const words of ['your manager', 'Client complaint, case C-2291', reason, finding, 'Opened the review', 'Searched “wheelsets”', 'Ended the review']) {
      await expect(look).toContainText(words);
    }
    await expect(look).toContainText(/Read \d+ messages/);
    await expect(noahs.getByText('A review of your chats is open')).toHaveCount(0);
  });
});

test('the audit log of it all is whole', async ({ portal }) => {
  const verified = JSON.parse(await portal.command('audit', 'verify', '--json'));
  expect(verified).toMatchObject({ ok: true, broken: null });
  expect(verified.entries).toBeGreaterThan(50);
});
