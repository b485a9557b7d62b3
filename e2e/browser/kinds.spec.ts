// Sources of other kinds, from the form that connects them to the people who come in: a workbook in a watched folder, and
// a service with JSON that answers as ERPNext documents it. On a portal of its own, for other people come in.

import { once } from 'node:events';
import { mkdir, readdir, rename, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Page } from '@playwright/test';
import writeWorkbook, { type SheetData } from 'write-excel-file/node';
import { value } from '../lib/acts.ts';
import { axe, expect, Portal, shots, test as base } from '../lib/test.ts';

const test = base.extend<object, { portal: Portal }>({
  portal: [
    async ({}, use) => {
      const portal = await Portal.open({ OPTIMUS_ERP_HOSTS: '127.0.0.1' });
      await use(portal);
      await portal.close();
    },
    { scope: 'worker', timeout: 90_000 },
  ],
});

/** A workbook with a sheet that is no table before the two that are; under another name until it is whole. */
async function workbook(path: string, people: SheetData, units: SheetData): Promise<void> {
  const sheets = [
    { sheet: 'Read me', data: [['Staff of the foundry, as of today']] },
    { sheet: 'Staff', data: people },
    { sheet: 'Units', data: units },
  ];
  await writeWorkbook(sheets).toFile(`${path}.part`);
  await rename(`${path}.part`, path);
}

const day = (text: string) => ({ value: new Date(`${text}T00:00:00Z`), type: Date, format: 'dd.mm.yyyy' });
const HEAD = ['Personnel No.', 'First name', 'Last name', 'Job title', 'Unit', 'Reports to', 'Hire date', 'E-mail'];
const UNITS = [
  ['Code', 'Called', 'Above'],
  ['F', 'Foundry', ''],
  ['F1', 'Pattern shop', 'F'],
];
/** Numbers as numbers, dates as dates, and three rows with something wrong. */
const STAFF: SheetData = [
  HEAD,
  [7001, 'Ottilie', 'Brandvik', 'Head of the foundry', 'F', '', day('2019-05-13'), 'ottilie@foundry.example'],
  [7002, 'Jonas', 'Weiß', 'Pattern maker', 'F1', 7001, day('2024-04-01'), 'jonas@foundry.example'],
  [7003, 'Ines', 'Almeida', 'Moulder', 'F1', 7001, 'in spring', 'ines at foundry'],
  ['', 'Nobody', 'Numbered', 'Moulder', 'F1', 7001, '', ''],
  [7002, 'Jonas', 'Again', 'Moulder', 'F1', 7001, '', ''],
];

/** A picture of one red pixel. */
const RED = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==', 'base64');

async function fill(page: Page, fields: Record<string, string>): Promise<void> {
  for (const [label, text] of Object.entries(fields)) {
    await page.getByLabel(new RegExp(`^${label}( \\(optional\\))?$`)).fill(text);
  }
}

/** The page of a source, by its name. */
async function open(page: Page, name: string): Promise<void> {
  await page.goto('/console/sources');
  await page.getByRole('main').getByRole('link', { name, exact: true }).click();
}

test('a workbook in a watched folder is read, put away and told of row by row', async ({ page, portal, signIn }) => {
  const folder = join(portal.dataDir, 'foundry');
  const archive = join(portal.dataDir, 'foundry read');
  await mkdir(join(folder, 'photos'), { recursive: true });
  await writeFile(join(folder, 'photos', '7001.png'), RED);
  await signIn(page, portal.withRole('system_administrator').login);

  await test.step('the folder is connected before there is anything in it', async () => {
    await page.goto('/console/sources/new?kind=table');
    await fill(page, {
      Name: 'Foundry',
      Folder: folder,
      'Name of the files': 'staff*.xlsx',
      Sheet: 'Staff',
      'Sheet of the units': 'Units',
      Archive: archive,
      'Seconds without a change': '0',
    });
    await page.getByRole('button', { name: 'Connect source' }).click();
    await expect(page.getByRole('status')).toContainText('“Foundry” is connected.');
    await page.getByRole('link', { name: 'Open the mapping' }).click();
    await expect(page.getByText('There is no mapping yet')).toBeVisible();
  });

  await test.step('its mapping is made from the columns, shown on the rows, and set', async () => {
    await workbook(join(folder, 'staff-1.xlsx'), STAFF, UNITS);
    await page.reload();
    await expect(page.getByText('Made from the names of the columns')).toBeVisible();
    const tried = page.getByRole('region', { name: 'On real records' });
    await expect(tried.locator('section').nth(0)).toContainText('Ottilie Brandvik');
    await expect(tried.locator('section').nth(0)).toContainText('2019-05-13');
    await expect(tried.locator('section').nth(0)).toContainText('staff-1.xlsx, sheet Staff, row 2');
    await expect(tried.locator('section').nth(2)).toContainText('“in spring” is not a date');
    await expect(tried.locator('section').nth(3)).toContainText('Left out');
    await axe(page);
    await shots(page, 'console-source-mapping-made');
    const units = page.locator('select[name="unit.target"]').locator('xpath=ancestor::tr');
    for (const [at, [target, from]] of [['id', 'Code'], ['name', 'Called'], ['parent', 'Above']].entries()) {
      await units.nth(at).locator('select').selectOption(target!);
      await units.nth(at).locator('input[name="unit.from"]').fill(from!);
    }
    await page.getByLabel(/^Why/).fill('As the foundry writes it');
    await page.getByRole('button', { name: 'Set mapping' }).click();
    await expect(page.getByRole('status')).toContainText('The mapping is set.');
    await page.getByRole('link', { name: 'Open the mapping' }).click();
    await expect(page.getByText('Version 1', { exact: true })).toBeVisible();
    await expect(page.getByText('Made from the names of the columns')).toHaveCount(0);
  });

  await test.step('watched, it is read by itself, and put away', async () => {
    await open(page, 'Foundry');
    await page.getByLabel(/^Watch the folder/).fill('yes');
    await page.getByRole('button', { name: 'Save settings' }).click();
    await expect(page.getByRole('status')).toContainText('The settings are saved.');
    await expect.poll(() => readdir(folder), { timeout: 45_000 }).toEqual(['photos']);
    expect(await readdir(archive)).toEqual([expect.stringMatching(/^staff-1\..*\.xlsx$/)]);
  });

  await test.step('the run tells of each row that could not be read', async () => {
    await page.reload();
    await page.getByRole('table', { name: /^Past runs/ }).getByRole('link').first().click();
    await expect(page.getByRole('heading', { level: 1 })).toContainText('Done');
    const found = page.locator('.card').filter({ has: page.locator('#findings') });
    await expect(found).toContainText('staff-1.xlsx, sheet Staff, row 4, column G (Hire date)');
    await expect(found).toContainText('staff-1.xlsx, sheet Staff, row 5');
    await expect(found).toContainText('stands at staff-1.xlsx, sheet Staff, row 3 already');
    await axe(page);
    await shots(page, 'console-source-run-table');
  });

  await test.step('the people are there, with their units and their superior', async () => {
    await page.goto('/people?q=Jonas');
    await page.getByRole('main').getByRole('link', { name: 'Jonas Weiß', exact: true }).click();
    await expect(value(page, 'Job title').locator('dd.value')).toContainText('Pattern maker');
    await expect(page.getByRole('main')).toContainText('Pattern shop');
    await expect(page.getByRole('main')).toContainText('Ottilie Brandvik');
    await page.getByRole('main').getByRole('link', { name: 'Ottilie Brandvik' }).first().click();
    await expect(page.locator('.profile-head img.avatar__photo')).toBeVisible();
    await page.goto('/people?q=Numbered');
    await expect(page.getByRole('main').getByRole('link', { name: 'Nobody Numbered' })).toHaveCount(0);
  });

  await test.step('the next workbook changes what it says otherwise', async () => {
    const later = STAFF.slice(0, 3).map((row) => row.map((cell) => (cell === 'Pattern maker' ? 'Foreman' : cell)));
    await workbook(join(folder, 'staff-2.xlsx'), later, UNITS);
    await expect.poll(() => readdir(folder), { timeout: 45_000 }).toEqual(['photos']);
    await page.goto('/people?q=Jonas');
    await page.getByRole('main').getByRole('link', { name: 'Jonas Weiß', exact: true }).click();
    await expect(value(page, 'Job title').locator('dd.value')).toContainText('Foreman');
    // One person may always leave.
    await page.goto('/people?q=Almeida');
    await expect(page.getByRole('main').getByRole('link', { name: 'Ines Almeida' })).toHaveCount(0);
  });
});

const KEY = 'token 4f1c0ffee:5ec2e7';
const employee = (number: number, name: string, more: object) => {
  const [first, last] = name.split(' ');
  return {
    name: `HR-EMP-0000${number}`, employee: `HR-EMP-0000${number}`, employee_name: name, first_name: first, last_name: last,
    status: 'Active', designation: 'Smith', department: 'Anvil - NF', reports_to: 'HR-EMP-00001', employee_number: `E${number}`,
    branch: 'Leeds', date_of_joining: '2020-03-01', relieving_date: null, company_email: `${first!.toLowerCase()}@anvil.example`,
    cell_number: '', image: null, modified: `2026-05-0${number} 10:00:00.123456`, docstatus: 0, ...more,
  };
};

/** Answers as ERPNext's documentation says (Frappe REST API, Employee and Department). */
class Erpnext {
  employees = [
    employee(1, 'Ragna Thorsen', { designation: 'Managing Director', department: 'Management - NF', reports_to: null }),
    employee(2, 'Idris Bello', { cell_number: '+44 7700 900123' }),
    employee(3, 'Ulla Sandvik', { status: 'Suspended' }),
    employee(4, 'Milan Novak', { status: 'Left', relieving_date: '2025-12-31' }),
  ];
  departments = [
    { name: 'All Departments', department_name: 'All Departments', parent_department: '' },
    { name: 'Management - NF', department_name: 'Management', parent_department: 'All Departments' },
    { name: 'Anvil - NF', department_name: 'Anvil shop', parent_department: 'All Departments' },
  ];
  asked: string[] = [];
  private server: Server | undefined;

  async start(): Promise<string> {
    this.server = createServer((request, response) => this.answer(request, response)).listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  stop(): void {
    this.server?.closeAllConnections();
    this.server?.close();
  }

  private answer(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '/', 'http://erpnext');
    this.asked.push(url.pathname + url.search);
    const say = (status: number, body: object) => response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    if (request.headers.authorization !== KEY) {
      say(401, { exc_type: 'AuthenticationError' });
      return;
    }
    const lists: Record<string, Array<Record<string, unknown>>> = {
      '/api/resource/Employee': this.employees,
      '/api/resource/Department': this.departments,
    };
    const list = lists[url.pathname];
    if (!list) {
      say(404, { exc_type: 'DoesNotExistError' });
      return;
    }
    const number = (name: string, otherwise: number) => Number(url.searchParams.get(name) ?? otherwise);
    const from = number('limit_start', 0);
    // [["modified",">=","2026-05-04 09:50:00"]]
    const filters: string[][] = JSON.parse(url.searchParams.get('filters') ?? '[]');
    const newer = list.filter((row) => filters.every(([field, , than]) => String(row[field!]) >= than!));
    const fields: string[] = JSON.parse(url.searchParams.get('fields') ?? '["name"]');
    const shown = newer.map((row) => (fields.includes('*') ? row : Object.fromEntries(fields.map((field) => [field, row[field]]))));
    say(200, { data: shown.slice(from, from + number('limit_page_length', 20)) });
  }
}

test('a service with JSON is connected by a preset, tried, and its people come in', async ({ page, portal, signIn }) => {
  const erpnext = new Erpnext();
  const url = await erpnext.start();
  await signIn(page, portal.withRole('system_administrator').login);

  await test.step('it is connected, and a wrong key is told by a test', async () => {
    await page.goto('/console/sources/new?kind=rest');
    await fill(page, { Name: 'Anvil ERP', Address: url, Preset: 'erpnext', Key: 'token wrong:wrong' });
    await page.getByRole('button', { name: 'Connect source' }).click();
    await expect(page.getByRole('status')).toContainText('“Anvil ERP” is connected.');
    await page.getByRole('button', { name: 'Test connection' }).click();
    await expect(page.getByText('The source cannot be read')).toBeVisible();
    await expect(page.getByRole('main')).toContainText('key');
    await fill(page, { Key: KEY });
    await page.getByRole('button', { name: 'Save settings' }).click();
    await page.getByRole('button', { name: 'Test connection' }).click();
    const tested = page.getByRole('region', { name: 'Test of the connection' });
    await expect(tested).toContainText('The source can be read');
    await expect(tested).toContainText('3 units can be read');
    await expect(page.locator('html')).not.toContainText('5ec2e7');
    await axe(page);
    await shots(page, 'console-source-rest');
  });
  const source = new URL(page.url()).pathname.replace(/\/test$/, '');

  await test.step('the mapping is the preset’s, and is tried on real records', async () => {
    await page.goto(`${source}/mapping`);
    await expect(page.getByText('These lines come with ERPNext')).toBeVisible();
    await expect(page.locator('input[name="worker.from"]').first()).toHaveValue('name');
    await page.getByRole('button', { name: 'Try on real records' }).click();
    const tried = page.getByRole('region', { name: 'On real records' });
    await expect(tried.locator('section').nth(1)).toContainText('Idris Bello');
    await expect(tried.locator('section').nth(1)).toContainText('+44 7700 900123');
    await page.goto(`${source}/mapping`);
    await axe(page);
    await shots(page, 'console-source-mapping-preset');
  });

  await test.step('a dry run shows who would come in, and nobody does', async () => {
    await page.goto(source);
    await page.getByRole('button', { name: 'Dry run' }).click();
    await expect(page.getByText('A dry run: nothing was written')).toBeVisible();
    await expect(page.getByRole('row', { name: /Idris Bello/ })).toBeVisible();
    await page.goto('/people?q=Idris');
    await expect(page.getByRole('main').getByRole('link', { name: 'Idris Bello' })).toHaveCount(0);
  });

  await test.step('a run brings them, and only who changed is asked for after it', async () => {
    await page.goto(source);
    await page.getByRole('button', { name: 'Run now' }).click();
    await expect(page.getByRole('heading', { level: 1 })).toContainText('Done');
    await page.goto('/people?q=Idris');
    await page.getByRole('main').getByRole('link', { name: 'Idris Bello', exact: true }).click();
    await expect(page.getByRole('main')).toContainText('Anvil shop');
    await expect(page.getByRole('main')).toContainText('Ragna Thorsen');
    await page.goto('/people?q=Ulla');
    await expect(page.getByRole('main').getByRole('link', { name: 'Ulla Sandvik', exact: true })).toBeVisible();
    await page.goto('/people?q=Milan');
    await expect(page.getByRole('main').getByRole('link', { name: 'Milan Novak' })).toHaveCount(0);

    erpnext.employees[1] = employee(2, 'Idris Bello', { designation: 'Master smith', modified: '2026-06-01 08:00:00' });
    erpnext.asked = [];
    await page.goto(source);
    await page.getByRole('button', { name: 'Run now' }).click();
    await expect(page.getByRole('heading', { level: 1 })).toContainText('Done');
    expect(erpnext.asked.some((path) => path.includes('filters='))).toBe(true);
    await page.goto('/people?q=Idris');
    await page.getByRole('main').getByRole('link', { name: 'Idris Bello', exact: true }).click();
    await expect(value(page, 'Job title').locator('dd.value')).toContainText('Master smith');
  });

  await test.step('a service that is not there any more takes nobody away', async () => {
    erpnext.stop();
    await page.goto(source);
    await page.getByRole('button', { name: 'Run now' }).click();
    await expect(page.getByRole('heading', { level: 1 })).toContainText('Failed', { timeout: 40_000 });
    await page.goto('/people?q=Idris');
    await expect(page.getByRole('main').getByRole('link', { name: 'Idris Bello', exact: true })).toBeVisible();
  });
});
