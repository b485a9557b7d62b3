import { axe, expect, shots, test } from '../lib/test.ts';

test('the portal is alive and ready', async ({ request }) => {
  for (const path of ['/healthz', '/readyz']) {
    expect((await request.get(path)).status(), path).toBe(200);
  }
});

test('the sign-in page is accessible and fits every width', async ({ page }) => {
  await page.goto('/sign-in');
  await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
  await axe(page);
  await shots(page, 'sign-in');
});

test('a wrong password is refused and the login kept', async ({ page, portal }) => {
  const [member] = portal.cast;
  await page.goto('/sign-in');
  await page.locator('input[name="login"]').fill(member.login);
  await page.locator('input[name="password"]').fill('not the password');
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();

  await expect(page.locator('input[name="password"]')).toHaveAttribute('aria-invalid', 'true');
  await expect(page.locator('input[name="password"]')).toHaveValue('');
  await expect(page.locator('input[name="login"]')).toHaveValue(member.login);
  await page.goto('/');
  await expect(page).toHaveURL(/\/sign-in/);
  await axe(page);
});

test('the right password signs in with a cookie that scripts cannot read', async ({ page, context, portal, signIn }) => {
  const member = await signIn(page, portal.cast[0].login);

  await expect(page.getByRole('banner')).toContainText(member.name.split(' ')[0]);
  const session = (await context.cookies()).find((cookie) => cookie.name.startsWith('__Host-'));
  expect(session).toMatchObject({ httpOnly: true, secure: true, sameSite: 'Lax', path: '/' });
});

test('signing in works without JavaScript', async ({ another, portal, signIn }) => {
  const page = await another({ javaScriptEnabled: false });
  await signIn(page, portal.cast[1].login);
  await expect(page.getByRole('main')).toBeVisible();
});
