import { fileURLToPath } from 'node:url';
import { expect, type Page } from '@playwright/test';

const folder = fileURLToPath(new URL('../shots/', import.meta.url));

const SIZES = [
  { width: 360, height: 740 },
  { width: 1600, height: 1000 },
];

/**
 * Writes `shots/NAME-{light,dark}-{360,1600}.png` of the whole page, and fails if it scrolls sideways.
 */
export async function shots(page: Page, name: string): Promise<void> {
  const before = page.viewportSize();
  for (const size of SIZES) {
    await page.setViewportSize(size);
    const tooWide = await page.evaluate(
      () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
    );
    expect(tooWide, `${name} scrolls sideways at ${size.width}`).toBeLessThanOrEqual(0);
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme });
      await page.screenshot({ path: `${folder}${name}-${colorScheme}-${size.width}.png`, fullPage: true });
    }
  }
  await page.emulateMedia({ colorScheme: null });
  if (before) {
    await page.setViewportSize(before);
  }
}
