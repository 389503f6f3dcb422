#!/usr/bin/env python3
"""Writes codec.txt and jsonb.txt, the fixtures of src/codec/tests.rs. Run by hand, needs cbor2 and psql.

The environment (PGHOST, PGUSER, ...) names a little-endian PostgreSQL with a UTF-8 database and a superuser. The CBOR is what
Python's cbor2 makes of PostgreSQL's JSON text, the jsonb what PostgreSQL itself holds: neither comes from our code.
"""

import json
import pathlib
import subprocess
from decimal import Decimal

import cbor2

DOCUMENTS = [
 '{}', '{"a":1}', '{"":""}', '{"":{"":{"":[]}}}', '{"null":null,"t":true,"f":false}',
 '{"n":[0,1,23,24,255,256,9999,10000,65535,65536,99999999,100000000,4294967295,4294967296]}',
 '{"n":[-1,-24,-25,-256,-257,-65536,-65537,-4294967296,-4294967297]}',
 '{"n":[9223372036854775807,-9223372036854775808,9223372036854775808,-9223372036854775809,18446744073709551615,-18446744073709551616]}',
 '{"n":[18446744073709551616,-18446744073709551617,340282366920938463463374607431768211455,340282366920938463463374607431768211456,-340282366920938463463374607431768211456,-340282366920938463463374607431768211457]}',
 '{"n":[100000000000000000000000000000000,99999999999999999999999999999999999999,100000000000000000000000000000000000000000]}',
 '{"n":[1.5,1.50,0.0,0.00,-1.5,0.1,0.01,0.001,0.0001,0.00001,-0.0001,10.0,100.00,12345.6789,12345.67890,1234567890.123456789]}',
 '{"n":[3.141592653589793238462643383279502884197169399375105820974944592307816406286,0.1234567890123456789012345678901234567890]}',
 '{"n":[18446744073709551615.0,-184467440737095516.16,1844674407370955161.6,-1844674407370955161.7,0.000000000000000000018446744073709551616]}',
 '{"n":1e400}', '{"n":-1e400}', '{"n":1e-400}', '{"n":1.25e-70,"m":12e62}', '{"n":' + '1' + '0'*1000 + '}', '{"n":-' + '9'*1000 + '.' + '9'*65 + '}',
 '{"scale63":0.' + '0'*62 + '1,"scale64":0.' + '0'*63 + '1}',
 '{"w63":1' + '0'*255 + ',"w64":1' + '0'*256 + ',"w-64":0.' + '0'*252 + '1,"w-65":0.' + '0'*256 + '1}',
 '{"é":"ü","日本語":"文字","😀":"👩‍👩‍👧‍👦","\\u00e9\\u0301":"\\ud83d\\ude00"}',
 '{"s":"quote \\" backslash \\\\ slash \\/ tab \\t nl \\n cr \\r bs \\b ff \\f esc \\u001b del \\u007f"}',
 '{"len":["' + 'x'*23 + '","' + 'x'*24 + '","' + 'x'*255 + '","' + 'x'*256 + '"]}',
 '{"bb":1,"a":2,"ccc":3,"b":4,"aa":5,"":6,"Z":7,"z":8,"é":9}',
 '{"dup":1,"dup":2,"other":null,"dup":[3]}',
 '{"a":[],"b":{},"c":[[]],"d":[{}],"e":[[],{},[[]],{"x":{}}]}',
 '{"a":"x","b":1,"c":"xy","d":2,"e":"xyz","f":3,"g":"wxyz","h":[1],"i":"v","j":{"k":1}}',
 '{"mix":[null,true,false,"a",1,"ab",2.5,"abc",[],"abcd",{},"abcde",{"k":"v"},-7]}',
 json.dumps({"a": list(range(33))}), json.dumps({"a": list(range(100))}), json.dumps({"a": ["s%d" % i for i in range(65)]}),
 json.dumps({"a": [None]*32, "b": [True]*33, "c": [""]*64, "d": ["x"]*65, "e":[[]]*97}),
 json.dumps({"k%d" % i: i for i in range(16)}), json.dumps({"k%d" % i: "v%d" % i for i in range(32)}),
 json.dumps({"k%d" % i: i for i in range(33)}), json.dumps({"key%d" % (i*7 % 100): [i, str(i)] for i in range(100)}),
 json.dumps({"in": {"k%d" % i: {"x": i} for i in range(40)}}), json.dumps({"rows": [{"id": i, "name": "n%d" % i, "ok": i % 2 == 0, "price": None} for i in range(40)]}),
 '{"user_id":4711,"csrf":"5f2b1c0a9d8e7f6a","roles":["admin","editor"],"cart":[{"sku":"A-1","qty":2,"price":19.99},{"sku":"B-7","qty":1,"price":5.00}],"locale":"de_DE","flash":null,"seen":true}',
 '{"big":"' + 'lorem ipsum ' * 60 + '"}',
 '{"a":' * 120 + '1' + '}' * 120, '{"a":' + '[' * 119 + '-1.5' + ']' * 119 + '}', '{"a":' + '[' * 119 + '-1' + '0'*40 + '.5' + ']' * 119 + '}',
]


def psql(sql):
    command = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-F", "\t", "-c", sql]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.rstrip("\n")


def stored(document):
    """PostgreSQL's bytes and text. The two types have the same shape, so that a cast shows the bytes."""
    return psql(
        "begin; create cast (jsonb as bytea) without function;"
        f"select encode(d::bytea, 'hex'), d from (select $q${document}$q$::jsonb d) x; rollback"
    ).split("\t")


here = pathlib.Path(__file__).parent
with open(here / "codec.txt", "w") as codec, open(here / "jsonb.txt", "w") as jsonb:
    for document in DOCUMENTS:
        binary, text = stored(document)
        # PostgreSQL prints keys in its own order, and cbor2 keeps it.
        value = json.loads(text, parse_float=Decimal)
        cbor = cbor2.dumps(value)
        assert repr(cbor2.loads(cbor)) == repr(value)
        codec.write(f"{cbor.hex()}\t{text}\n")
        jsonb.write(f"{binary}\t{text}\n")
