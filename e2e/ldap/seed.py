"""A directory in LDIF: seed.py NUMBER writes so many people, with managers, units, photos and two traps.

The first 130 are the same whatever the number. u7 names a manager who is not there; u8 writes the manager's name in
capitals, with spaces; the entry ou=elsewhere is a referral.
"""

import base64
import sys

BASE = "dc=erp,dc=test"


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


UNITS = ["works", "wheels,works", "forge,works", "office", "ledger,office"]


def unit_dn(path):
    return ",".join(f"ou={part}" for part in path.split(",")) + f",ou=people,{BASE}"


def line(name, value):
    data = value if isinstance(value, bytes) else value.encode()
    if isinstance(value, bytes) or not value.isascii() or value[:1] in " :<":
        return f"{name}:: {base64.b64encode(data).decode()}\n"
    return f"{name}: {value}\n"


def entry(dn, *attributes):
    return line("dn", dn) + "".join(line(name, value) for name, value in attributes) + "\n"


def person(number):
    """The name of a person's entry; every seventh has a comma in it."""
    rdn = f"cn=Person\\, No {number}" if number % 7 == 3 else f"uid=u{number}"
    return f"{rdn},{unit_dn(UNITS[number % len(UNITS)])}"


def main(count):
    out = sys.stdout
    out.write(entry(BASE, ("objectClass", "domain"), ("dc", "erp")))
    out.write(entry(f"ou=people,{BASE}", ("objectClass", "organizationalUnit"), ("ou", "people")))
    for path in UNITS:
        out.write(entry(unit_dn(path), ("objectClass", "organizationalUnit"), ("ou", path.split(",")[0])))
    out.write(
        entry(
            f"ou=elsewhere,ou=people,{BASE}",
            ("objectClass", "referral"),
            ("objectClass", "extensibleObject"),
            ("ou", "elsewhere"),
            ("ref", f"ldap://directory.elsewhere.test/ou=people,{BASE}"),
        )
    )
    for number in range(count):
        attributes = [
            ("objectClass", "inetOrgPerson"),
            ("uid", f"u{number}"),
            ("cn", f"Person, No {number}" if number % 7 == 3 else f"Person {number}"),
            ("givenName", "Åse" if number % 11 == 0 else "Person"),
            ("sn", f"No {number}"),
            ("mail", f"u{number}@erp.test"),
            ("title", f"Engineer {number % 9}"),
            ("employeeNumber", f"E{number:05}"),
            ("departmentNumber", f"D{number % 5}"),
            ("telephoneNumber", f"+44 114 496 {number % 10000:04}"),
            ("userPassword", "not for anybody's eyes"),
            # A while ago, so that what a test changes is newer than everything else.
            ("modifyTimestamp", "20261101080000Z"),
        ]
        if number % 3 == 0:
            attributes.append(("l", "Sheffield"))
        if number == 7:
            attributes.append(("manager", f"uid=gone,ou=people,{BASE}"))
        elif number:
            manager = person((number - 1) // 8)
            attributes.append(("manager", manager.upper().replace(",OU=", " , OU=") if number == 8 else manager))
        if number % 4 == 0 and number < 130:
            attributes.append(("jpegPhoto", photo(number // 4)))
        out.write(entry(person(number), *attributes))


main(int(sys.argv[1]) if len(sys.argv) > 1 else 130)
