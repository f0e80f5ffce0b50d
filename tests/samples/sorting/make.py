#!/usr/bin/env python3
"""Makes some of the inputs beside it; `pip install pikepdf` (10.18 was used).

Run it in this directory. The tests do not run it."""
import io, os, struct, zipfile
import pikepdf

def write(name, data):
    with open(name, "wb") as f:
        f.write(data)

TEXTS = {
    "text-uk-cp1251.txt": ("cp1251", "Щоденник подорожі: їжак і ґава живуть у лісі. Є ще їхні діти.\r\n"),
    "text-cs-cp852.txt": ("cp852", "Příliš žluťoučký kůň úpěl ďábelské ódy. Šťastné a veselé.\r\n"),
    "text-el-cp737.txt": ("cp737", "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία. Το βιβλίο είναι εδώ.\r\n"),
    "text-sl-cp1250.txt": ("cp1250", "Šest žab čaka; žal, še vse živo. Češnje žanjejo žuželke.\r\n"),
    "text-ru-koi8-r.txt": ("koi8-r", "Съешь же ещё этих мягких французских булок, да выпей чаю.\n"),
    "text-ja-shift-jis.txt": ("shift_jis", "日本語の文章です。会議の記録を送ります。ソ連と表示。\r\n"),
    "text-zh-gb18030.txt": ("gb18030", "这是一份会议记录，请查收。我们下周再谈。㐀㐁\r\n"),
    "text-zh-utf-16-be.txt": ("utf-16-be", "这是一份会议记录，请查收。我们下周再谈。\r\n"),
    "text-ko-utf-16-le.txt": ("utf-16-le", "회의 기록을 보냅니다. 다음 주에 다시 이야기합시다.\r\n"),
    "text-ru-utf-16.txt": ("utf-16", "Съешь же ещё этих мягких булок.\r\n"),
    "text-de-utf-32.txt": ("utf-32", "Größe aus Köln: über 50 Äpfel.\r\n"),
}
for name, (encoding, text) in TEXTS.items():
    write(name, (text * 12).encode(encoding))

def zipped(entries):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        for name, text in entries:
            z.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), text, zipfile.ZIP_DEFLATED)
    return out.getvalue()

def word(main, more=()):
    types = (
        '<?xml version="1.0" encoding="UTF-8"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/word/document.xml" ContentType="application/{main}.main+xml"/></Types>'
    )
    document = '<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body/></w:document>'
    return zipped([("[Content_Types].xml", types), ("word/document.xml", document), *more])

write("docm-vba-elsewhere.docx", word("vnd.ms-word.document.macroEnabled", [("word/macros.bin", "x")]))
write("template-with-macros.dotm", word("vnd.ms-word.template.macroEnabledTemplate"))
write("plain-word.docx", word("vnd.openxmlformats-officedocument.wordprocessingml.document"))

def pdf(name, **how):
    doc = pikepdf.new()
    doc.add_blank_page(page_size=(200, 200))
    doc.save(name, static_id=True, **how)

E = pikepdf.Encryption
pdf("pdf-user-password-40.pdf", encryption=E(user="secret", owner="o", R=2, aes=False, metadata=False))
pdf("pdf-user-password-128-rc4.pdf", encryption=E(user="secret", owner="o", R=3, aes=False, metadata=False))
pdf("pdf-user-password-128-aes.pdf", encryption=E(user="secret", owner="o", R=4, aes=True))
pdf("pdf-user-password-old-256.pdf", encryption=E(user="secret", owner="o", R=5))
pdf("pdf-user-password-streams.pdf", encryption=E(user="secret", owner="o", R=6), object_stream_mode=pikepdf.ObjectStreamMode.generate)
pdf("pdf-user-password-linear.pdf", encryption=E(user="secret", owner="o", R=4, aes=True), linearize=True)
# Without a user password: it opens for everybody, and may not be printed.
pdf("pdf-owner-password-40.pdf", encryption=E(user="", owner="o", R=2, aes=False, metadata=False))
pdf("pdf-owner-password-128-rc4.pdf", encryption=E(user="", owner="o", R=3, aes=False, metadata=False))
pdf("pdf-owner-password-128-aes.pdf", encryption=E(user="", owner="o", R=4, aes=True))
pdf("pdf-owner-password-old-256.pdf", encryption=E(user="", owner="o", R=5))
pdf("pdf-owner-password-256.pdf", encryption=E(user="", owner="o", R=6))
pdf("pdf-owner-password-plain-metadata.pdf", encryption=E(user="", owner="o", R=4, aes=True, metadata=False))
pdf("pdf-owner-password-streams.pdf", encryption=E(user="", owner="o", R=6), object_stream_mode=pikepdf.ObjectStreamMode.generate)
pdf("pdf-owner-password-linear.pdf", encryption=E(user="", owner="o", R=6), linearize=True)
