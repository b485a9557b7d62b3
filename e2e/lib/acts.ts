// What people do on the pages, in the words of the pages.

import { expect, type Locator, type Page } from '@playwright/test';

/** What stands at every door that is closed to somebody, or is not there. */
export const NOTHING_HERE = 'There is nothing here for you.';

/** The row of an attribute on a profile, by its label. */
export function value(page: Page, label: string): Locator {
  return page.locator('dl.fields > div').filter({ has: page.locator('dt').getByText(label, { exact: true }) });
}

/** Fills the fields of one's own profile, by label, and saves it. */
export async function editProfile(page: Page, id: string, fields: Record<string, string>): Promise<void> {
  await page.goto(`/people/${id}/edit`);
  const form = page.locator(`form[action="/people/${id}/edit"]`);
  for (const [label, text] of Object.entries(fields)) {
    await form.getByLabel(new RegExp(`^${label}( \\(optional\\))?$`)).fill(text);
  }
  await form.getByRole('button', { name: 'Save profile' }).click();
}

/** What a sourcing rule says; the rest stays as the form has it. */
export interface Rule {
  /** As in "Job title". */
  attribute: string;
  /** A unit's name, or "Everyone". */
  unit: string;
  /** As in "ERP always wins". */
  strength: string;
  why: string;
}

/** Fills the form of a new sourcing rule and returns the form. */
export async function fillRule(page: Page, rule: Rule): Promise<Locator> {
  await page.goto('/console/rules?rule=new');
  const form = page.getByRole('form', { name: /rule/i });
  const attribute = form.getByLabel('Attribute', { exact: true });
  const option = await attribute.locator('option').filter({ hasText: `${rule.attribute} (` }).first().getAttribute('value');
  await attribute.selectOption(option);
  await form.getByLabel('For', { exact: true }).selectOption({ label: rule.unit });
  await form.getByRole('radio', { name: rule.strength }).check();
  await form.getByLabel(/^Why/).fill(rule.why);
  return form;
}

/** Expects the page to say that nothing is here, with the status of a thing that is not there. */
export async function expectNothingHere(page: Page, path: string): Promise<void> {
  const answer = await page.goto(path);
  expect(answer?.status(), path).toBe(404);
  await expect(page.getByRole('main')).toContainText(NOTHING_HERE);
}

/** The messages of the conversation that is open. */
export const thread = (page: Page): Locator => page.getByRole('log');

/** Writes into the conversation that is open. */
export async function write(page: Page, text: string): Promise<void> {
  await page.getByRole('textbox', { name: 'Message' }).fill(text);
  await page.getByRole('button', { name: 'Send' }).click();
}

/** Opens a review of somebody's words, from their profile. */
export async function openReview(page: Page, subject: string, reason: string): Promise<void> {
  await page.goto(`/people/${subject}`);
  await page.getByRole('link', { name: 'Review words' }).click();
  await page.getByLabel('Kind of reason').selectOption({ label: 'Client complaint' });
  await page.getByLabel('Reason', { exact: true }).fill(reason);
  await page.getByLabel(/^Case/).fill('C-2291');
  await page.getByRole('button', { name: 'Open review' }).click();
  await expect(page.getByRole('region', { name: 'Review in progress' })).toBeVisible();
}

/** Ends the review that is open, with a finding. */
export async function endReview(page: Page, finding: string): Promise<void> {
  await page.getByLabel('What you found').fill(finding);
  await page.getByRole('button', { name: 'End review', exact: true }).click();
  await expect(page.getByRole('status').filter({ hasText: 'The review has ended.' })).toBeVisible();
}
