"""Fills an empty Tryton database: two companies, their people, clients with invoices and payments, and two keys for REST.

Arguments: database, trytond.conf, the file that the keys are written to. Runs in Tryton's own process, through proteus.
"""

import datetime as dt
import io
import sys
from decimal import Decimal

from PIL import Image
from proteus import Model
from proteus import config as proteus_config
from trytond.modules.account.tests.tools import create_chart, create_fiscalyear, get_accounts
from trytond.modules.account_invoice.tests.tools import set_fiscalyear_invoice_sequences
from trytond.modules.company.tests.tools import create_company

database, conf, keys = sys.argv[1:]
config = proteus_config.set_trytond(database, user="admin", config_file=conf)
today = dt.date.today()

Application = Model.get("res.user.application")
Company = Model.get("company.company")
Currency = Model.get("currency.currency")
Employee = Model.get("company.employee")
Invoice = Model.get("account.invoice")
Journal = Model.get("account.journal")
Lang = Model.get("ir.lang")
Party = Model.get("party.party")
PaymentMethod = Model.get("account.invoice.payment.method")
PaymentTerm = Model.get("account.invoice.payment_term")
User = Model.get("res.user")


def currency(name, code, number, symbol):
    one = Currency(name=name, code=code, numeric_code=number, symbol=symbol, rounding=Decimal("0.01"), digits=2)
    one.rates.new(date=dt.date(2020, 1, 1), rate=Decimal("1") if code == "USD" else Decimal("10.5"))
    one.save()
    return one


def company(name, money):
    party = Party(name=name)
    party.save()
    create_company(party=party, currency=money)
    one, = Company.find([("party", "=", party.id)])
    return one


def enter(one):
    """From here on everything is done in that company."""
    user = User(config.user)
    user.companies.append(Company(one.id))
    user.save()
    user.company = Company(one.id)
    user.save()
    config._context = User.get_preferences(True, {})


def ledger(one):
    create_chart(company=one)
    year = set_fiscalyear_invoice_sequences(create_fiscalyear(company=one, today=today))
    year.click("create_period")
    return get_accounts(one)


people = {}


def employee(one, name, mail, boss=None, start=dt.date(2020, 1, 1), end=None, **more):
    party = Party(name=name, **more)
    party.contact_mechanisms.new(type="email", value=mail)
    party.contact_mechanisms.new(type="email", value="second." + mail)
    party.contact_mechanisms.new(type="mobile", value=f"+1202555{100 + len(people):04d}")
    if len(people) % 3 == 0:
        party.contact_mechanisms.new(type="phone", value=f"+1202556{100 + len(people):04d}")
    party.save()
    them = Employee(party=party, company=Company(one.id), start_date=start, supervisor=people.get(boss))
    them.save()
    if end:
        them.end_date = end
        them.save()
    people[name] = them


def invoice(accounts, party, amount, **more):
    bill = Invoice(type="out", party=party, invoice_date=today, **more)
    bill.payment_term = party.customer_payment_term
    line = bill.lines.new()
    line.account, line.description, line.quantity, line.unit_price = accounts["revenue"], "Service", 1, amount
    bill.save()
    bill.click("post")
    return bill


dollar, krone = currency("US Dollar", "USD", "840", "$"), currency("Norwegian krone", "NOK", "578", "kr")
forge = company("Northwind Forge", dollar)
enter(forge)
english, = Lang.find([("code", "=", "en")])
employee(forge, "Ada Root", "ada@erp.test", lang=english)
for team in range(3):
    lead = f"Manager {team}"
    employee(forge, lead, f"m{team}@erp.test", "Ada Root", start=None)
    for place in range(8):
        employee(forge, f"Worker {team}-{place}", f"w{team}{place}@erp.test", lead)
employee(forge, "Gone Person", "gone@erp.test", "Manager 0", end=today - dt.timedelta(days=1))
employee(forge, "Coming Person", "coming@erp.test", "Manager 1", start=today + dt.timedelta(days=30))
for name, shade in (("Ada Root", (10, 120, 200)), ("Manager 1", (200, 60, 20))):
    image = io.BytesIO()
    Image.new("RGB", (640, 640), shade).save(image, "JPEG")
    them = people[name].party
    them.avatar = image.getvalue()
    them.save()

accounts = ledger(forge)
thirty = PaymentTerm(name="30 days")
thirty.lines.new(type="remainder").relativedeltas.new(days=30)
thirty.save()
halves = PaymentTerm(name="50% / 50% 20+40")
half = halves.lines.new(type="percent", ratio=Decimal(".5"))
half.relativedeltas[0].days = 20
halves.lines.new(type="remainder").relativedeltas.new(days=40)
halves.save()
cash = PaymentMethod(name="Cash", journal=Journal.find([("type", "=", "cash")])[0])
cash.company = Company(forge.id)
cash.credit_account = cash.debit_account = accounts["cash"]
cash.save()
clients, bills = [], []
for place in range(12):
    party = Party(name=f"Customer {place:02d}", customer_payment_term=thirty if place % 2 else halves)
    party.contact_mechanisms.new(type="email", value=f"c{place}@cust.test")
    party.addresses[0].street, party.addresses[0].city = f"{place} Main St", "Springfield"
    party.save()
    clients.append(party)
    for count in range(1 + place % 3):
        bills.append(invoice(accounts, party, Decimal("100.01") * (place + 1)))
# One in another currency, one paid in part, one in full.
invoice(accounts, clients[5], Decimal("5000"), currency=krone)
for bill, amount, kind in ((bills[0], None, None), (bills[1], Decimal("40.02"), "partial")):
    pay = bill.click("pay")
    pay.form.payment_method = cash
    if amount:
        pay.form.amount = amount
    pay.execute("choice")
    if kind:
        pay.form.type = kind
        pay.execute("pay")

norway = company("Northwind Forge Norge", krone)
enter(norway)
employee(norway, "Ingrid Sol", "ingrid@erp.test")
employee(norway, "Ola Fjell", "ola@erp.test", "Ingrid Sol")
accounts = ledger(norway)
invoice(accounts, Party(clients[3].id), Decimal("1234.50"))
enter(forge)


def key(user):
    one = Application(application="rest", user=user)
    one.save()
    if one.state != "validated":
        one.click("validate_")
    return one.key


plain = User(name="Plain user", login="plain")
plain.companies.append(Company(forge.id))
plain.save()
plain.company = Company(forge.id)
plain.save()
with open(keys, "w") as file:
    file.write(f"{key(User(config.user))} {key(plain)}\n")
