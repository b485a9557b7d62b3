// Everything that can be done is done by plain forms too: not one script runs here.

import { editProfile, endReview, fillRule, openReview, thread, value, write } from '../lib/acts.ts';
import { expect, test } from '../lib/test.ts';

test.use({ javaScriptEnabled: false });

test('one’s own profile is edited, and each value says where it comes from', async ({ page, signIn }) => {
  const { employee_id } = await signIn(page, 'camille.laurent');
  await editProfile(page, employee_id, { Called: 'Cam', About: 'Writes offers in three languages.' });
  await expect(page.getByRole('status')).toContainText('Your profile is saved.');
  await expect(page.getByRole('complementary')).toContainText('Writes offers in three languages.');
  const called = value(page, 'Called');
  await called.locator('summary').click();
  await expect(called.getByRole('group', { name: 'Why “Cam”' })).toBeVisible();

  await editProfile(page, employee_id, { Called: '', About: '' });
  await expect(called).toContainText('Nothing yet');
});

test('people are found and their place in the organization is shown', async ({ page, signIn }) => {
  await signIn(page, 'camille.laurent');
  await page.getByRole('banner').getByRole('searchbox').fill('quotes');
  await page.keyboard.press('Enter');
  await page.getByRole('main').getByRole('link', { name: 'Viktor Novák', exact: true }).click();
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Viktor Novák');
  await page.getByRole('navigation', { name: 'Profile' }).getByRole('link', { name: /^Team/ }).click();
  await expect(page.getByRole('heading', { name: 'Selected: Viktor Novák' })).toBeVisible();
});

test('a rule’s effect is shown before it is set', async ({ page, portal, signIn }) => {
  await signIn(page, portal.withRole('policy_administrator').login);
  const form = await fillRule(page, {
    attribute: 'Mobile',
    unit: 'Engineering',
    strength: 'ERP is ignored',
    why: 'Only what people give out themselves',
  });
  await form.getByRole('button', { name: 'Show what would change' }).click();
  const impact = page.getByRole('region', { name: 'What would change' });
  await expect(impact.locator('.figure')).toHaveText('8');
  await expect(impact.getByRole('row', { name: /Helena Brandt/ }).locator('ins')).toHaveText('nothing');
  await expect(page.getByLabel(/^Why/)).toHaveValue('Only what people give out themselves');
  await expect(page.getByRole('row', { name: /Mobile/ }).filter({ hasText: 'Engineering' })).toHaveCount(0);
});

test('a conversation is started, written in and read', async ({ page, another, portal, signIn }) => {
  const owen = await another();
  await signIn(page, 'chen.wei');
  await signIn(owen, 'owen.pritchard');
  await page.goto(`/people/${portal.member('owen.pritchard').employee_id}`);
  await page.getByRole('link', { name: 'Write', exact: true }).click();
  await page.getByLabel(/^First message/).fill('Can I see the log of coil 7?');
  await page.getByRole('button', { name: 'Start conversation' }).click();
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Owen Pritchard');
  await write(page, 'The one of Tuesday.');
  await expect(thread(page).locator('.msg__body')).toHaveText(['Can I see the log of coil 7?', 'The one of Tuesday.']);

  await owen.goto('/chat');
  const entry = owen.getByRole('region', { name: 'Conversation list' }).getByRole('link', { name: /Chen Wei/ });
  await expect(entry).toContainText('2 unread');
  await entry.click();
  await expect(thread(owen).locator('.msg__body')).toHaveText(['Can I see the log of coil 7?', 'The one of Tuesday.']);
  await write(owen, 'On the shelf in the office.');
  await page.reload();
  await expect(thread(page)).toContainText('On the shelf in the office.');
});

test('a group is put together from found people', async ({ page, signIn }) => {
  await signIn(page, 'chen.wei');
  await page.goto('/chat/new');
  for (const name of ['Nadia Rahimi', 'Ivo Petrov']) {
    await page.getByRole('main').getByRole('searchbox').fill(name);
    await page.getByRole('main').getByRole('button', { name: 'Search' }).click();
    await page.getByRole('checkbox', { name: new RegExp(name) }).check();
  }
  await page.getByLabel(/^Name of the group/).fill('Tooling for rev C');
  await page.getByRole('button', { name: 'Start conversation' }).click();
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Tooling for rev C');
  const members = page.getByRole('region', { name: /^Members/ });
  for (const name of ['Chen Wei', 'Nadia Rahimi', 'Ivo Petrov']) {
    await expect(members).toContainText(name);
  }
});

test('a review is opened, read and ended', async ({ page, another, portal, signIn }) => {
  await signIn(page, 'priya.raman');
  const { employee_id } = portal.member('viktor.novak');
  await openReview(page, employee_id, 'A quotation went out twice with two prices. I need to see who agreed to what.');
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('You are reading Viktor Novák’s words');
  const search = page.getByRole('search', { name: 'In this review' });
  await search.getByRole('searchbox').fill('zinc');
  await search.getByRole('button', { name: 'Search' }).click();
  await expect(page.getByRole('heading', { name: 'Nothing to read' })).toBeVisible();
  await endReview(page, 'Nothing was found.');

  const viktor = await another();
  await signIn(viktor, 'viktor.novak');
  await viktor.goto('/looked-at');
  await expect(viktor.getByRole('article').first()).toContainText('“Nothing was found.”');
  await expect(viktor.getByRole('article').first()).toContainText('Searched “zinc”, 0 messages found');
});

test('a source is tried dry', async ({ page, portal, signIn }) => {
  await signIn(page, portal.withRole('system_administrator').login);
  await page.goto('/console/sources');
  await page.getByRole('main').getByRole('link', { name: 'Northwind ERP', exact: true }).click();
  await page.getByRole('button', { name: 'Dry run' }).click();
  const state = page.getByRole('heading', { level: 1 });
  await expect(state).toContainText('Run of');
  // Nothing moves by itself here: one looks again.
  await expect(async () => {
    await page.reload();
    await expect(state).toContainText('Dry run done', { timeout: 200 });
  }).toPass();
  await expect(page.getByText('A dry run: nothing was written')).toBeVisible();
  await expect(page.getByRole('heading', { name: 'Nothing to change' })).toBeVisible();
});
