"""Fills a domain: seed.py SMB_CONF NUMBER PASSWORD writes so many people, with managers, units and photos.

Run by Samba's own Python before its server starts. Every seventh name has a comma, u7 names a superior who is no
person, ten are disabled, and u0 manages the unit works.
"""

import sys
from pathlib import Path

from samba.auth import system_session
from samba.param import LoadParm
from samba.samdb import SamDB

sys.dont_write_bytecode = True
BASE = "dc=erp,dc=test"
ENABLED, DISABLED = 512 + 32, 512 + 32 + 2
UNITS = ["ou=works", "ou=wheels,ou=works", "ou=forge,ou=works", "ou=office", "ou=ledger,ou=office"]


def photo(shade):
    """A JPEG of 8 x 8 pixels in one of 64 greys: the portal re-encodes photos and takes none for several people."""
    one = bytes([1] + [0] * 15)
    parts = [
        b"\xff\xd8",
        b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00",
        b"\xff\xdb\x00\x43\x00" + bytes([8] * 64),
        b"\xff\xc0\x00\x0b\x08\x00\x08\x00\x08\x01\x01\x11\x00",
        b"\xff\xc4\x00\x14\x00" + one + b"\x07",
        b"\xff\xc4\x00\x14\x10" + one + b"\x00",
        b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00",
        bytes([64 + shade % 64, 0x7F]),
        b"\xff\xd9",
    ]
    return b"".join(parts)


def person(number):
    """The name of a person's entry."""
    rdn = f"cn=Person\\, No {number}" if number % 7 == 3 else f"cn=Person {number}"
    return f"{rdn},{UNITS[number % len(UNITS)]},ou=people,{BASE}"


def main(conf, count, password):
    parameters = LoadParm()
    parameters.load(conf)
    domain = SamDB(url=str(Path(conf).parents[1] / "private/sam.ldb"), session_info=system_session(), lp=parameters)
    domain.newuser("reader", password, setpassword=True, useusernameascn=True)
    domain.transaction_start()
    for path in ["ou=people", *(f"{path},ou=people" for path in UNITS)]:
        domain.add({"dn": f"{path},{BASE}", "objectClass": "organizationalUnit"})
    for number in range(count):
        name = f"Person, No {number}" if number % 7 == 3 else f"Person {number}"
        entry = {
            "dn": person(number),
            "objectClass": "user",
            "sAMAccountName": f"u{number}",
            "userPrincipalName": f"u{number}@erp.test",
            "userAccountControl": str(DISABLED if 300 <= number < 310 else ENABLED),
            "displayName": name,
            "givenName": "Åse" if number % 11 == 0 else "Person",
            "sn": f"No {number}",
            "mail": f"u{number}@erp.test",
            "title": f"Engineer {number % 9}",
            "employeeID": f"E{number:05}",
            "department": f"D{number % 5}",
            "division": "Rolling stock",
            "telephoneNumber": f"+44 114 496 {number % 10000:04}",
        }
        if number % 3 == 0:
            entry["physicalDeliveryOfficeName"] = "Sheffield"
        if number == 7:
            entry["manager"] = f"ou=people,{BASE}"
        elif number:
            entry["manager"] = person((number - 1) // 8)
        if number % 4 == 0 and number < 130:
            entry["thumbnailPhoto"] = photo(number // 4)
        domain.add(entry)
    domain.modify_ldif(f"dn: {UNITS[0]},ou=people,{BASE}\nchangetype: modify\nreplace: managedBy\nmanagedBy: {person(0)}\n")
    domain.transaction_commit()


main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
