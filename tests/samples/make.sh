#!/bin/sh
# Makes the sample files of this folder with real tools; see README.md.
# Run it in this folder. Outputs differ a little from one tool version to the
# next, so it is run by hand, and what it made is committed.
set -eu
quiet="-hide_banner -loglevel error -y -fflags +bitexact -flags:v +bitexact -flags:a +bitexact"
tone="-f lavfi -i sine=frequency=440:duration=1:sample_rate=22050"
bars="-f lavfi -i testsrc=duration=1:size=96x64:rate=10"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# Text.
printf 'Quarterly report\n\nEverything went well. Größe, 报告, naïve.\n' >text-utf8.txt
iconv -f UTF-8 -t LATIN1 >text-latin1.txt <<X
Grüße aus Köln: die Größe stimmt, à bientôt.
X
printf 'Quarterly report\nEverything went well. 报告\n' | iconv -t UTF-16 >text-utf16.txt
printf '季度报告\n一切顺利,数据已经上传。\n' | iconv -t GBK >text-gbk.txt
printf '\033[32mok\033[0m 12 files taken\n\033[31mfailed\033[0m 1 file\n' >text-ansi.txt
printf '# Report\n\nA *short* one, with `code` and a [link](https://example.com/).\n' >notes.md
python3 -c 'import json; print(json.dumps({"title": "Report", "rows": [1, 2, 3]}, indent=1))' >data.json
printf 'no extension, but clearly text\n' >README-plain
printf 'name,size\na,1\nb,2\n' >table.csv

# Documents.
pandoc notes.md -o pandoc.docx
python3 - <<X
import docx
d = docx.Document()
d.add_heading("Report", 1)
d.add_paragraph("Everything went well. 报告")
d.save("python-docx.docx")
import openpyxl
w = openpyxl.Workbook()
w.active["A1"] = "Report"
w.save("book.xlsx")
X
printf '%%!PS\n/Helvetica findfont 24 scalefont setfont 72 720 moveto (Quarterly report) show showpage\n' >"$tmp/a.ps"
gs -q -dBATCH -dNOPAUSE -dSAFER -sDEVICE=pdfwrite -o plain.pdf "$tmp/a.ps"
qpdf --linearize plain.pdf 报告.pdf
{ printf 'junk that a mail gateway left here\r\n\000\001\r\n'; cat plain.pdf; } >leading-junk.pdf
head -c "$(($(wc -c <pandoc.docx) / 2))" pandoc.docx >cut.docx
pandoc notes.md -s --metadata title=Report -o page.html
pandoc notes.md -s -o letter.rtf
pandoc notes.md -o open.odt
soffice --headless --convert-to doc --outdir "$tmp" python-docx.docx >/dev/null 2>&1
cp "$tmp/python-docx.doc" old.doc

# Images.
convert -size 64x48 gradient:red-blue -strip gradient.jpg
cp gradient.jpg gradient.jpeg
convert -size 64x48 gradient:red-blue -strip gradient.png
convert -size 64x48 gradient:red-blue -strip gradient.gif
cp gradient.png png-named.jpg
heif-enc -q 40 gradient.png -o gradient.heic >/dev/null
cp gradient.heic heic-named.jpg

# Sounds.
ffmpeg $quiet $tone -b:a 32k -id3v2_version 3 -metadata title=Tone id3.mp3
ffmpeg $quiet $tone -b:a 32k -id3v2_version 0 -write_id3v1 0 -write_xing 0 bare.mp3
ffmpeg $quiet $tone -ar 8000 tone.wav
ffmpeg $quiet $tone -ar 8000 -rf64 always rf64.wav
ffmpeg $quiet $tone -ar 8000 tone.w64
ffmpeg $quiet $tone -ar 8000 tone.caf
ffmpeg $quiet $tone -ar 8000 tone.flac
ffmpeg $quiet $tone -c:a aac -b:a 24k tone.m4a
cp tone.m4a sound-only.mp4
ffmpeg $quiet $tone -c:a libopus -b:a 16k -f webm sound-only.webm
ffmpeg $quiet $tone -c:a libvorbis -b:a 24k tone.ogg

# Videos.
ffmpeg $quiet $bars -pix_fmt yuv420p -c:v libx264 bars.mp4
ffmpeg $quiet $bars -pix_fmt yuv420p -c:v libx264 -movflags +faststart faststart.mp4
ffmpeg $quiet $bars -pix_fmt yuv420p -c:v libx264 -movflags frag_keyframe+empty_moov fragmented.mp4
ffmpeg $quiet $bars -c:v mpeg4 bars.mov
ffmpeg $quiet $bars -r 25 -c:v mpeg2video -f mpeg program-stream.mpv
ffmpeg $quiet $bars -r 25 -c:v mpeg1video -f mpeg1video video-stream.mpv
cp bars.mp4 mp4-named.mpv
cp program-stream.mpv program-stream.mpg
ffmpeg $quiet $bars -c:v libvpx -b:v 60k bars.webm
ffmpeg $quiet $bars -pix_fmt yuv420p -c:v libx264 bars.mkv
ffmpeg $quiet $bars -r 25 -c:v mpeg2video -f mpegts bars.ts
head -c "$(($(wc -c <bars.mp4) / 2))" bars.mp4 >cut.mp4

# Links.
printf '[InternetShortcut]\r\nURL=https://example.com/report?id=7\r\n' >link.url
printf '[InternetShortcut]\r\nURL=https://example.com/utf16\r\n' | iconv -t UTF-16 >link-utf16.url
python3 - <<X
import plistlib
for name, form in ("link-xml", plistlib.FMT_XML), ("link-binary", plistlib.FMT_BINARY):
    with open(name + ".webloc", "wb") as f:
        plistlib.dump({"URL": "https://example.com/report?id=7&x=1"}, f, fmt=form)
X
printf '[Desktop Entry]\nVersion=1.0\nType=Link\nName=Report\nURL=https://example.com/report\n' >link.desktop
printf '[Desktop Entry]\nVersion=1.0\nType=Application\nName=Editor\nExec=editor\n' >program.desktop

# What is never taken.
: >empty.pdf
zip -q -X archive.zip notes.md data.json
zip -q -X -0 stored-pdf.zip plain.pdf
printf '.globl _start\n_start: mov $60, %%eax\n xor %%edi, %%edi\n syscall\n' | as -o "$tmp/a.o" -
ld -s -n -o program.pdf "$tmp/a.o"
chmod 644 program.pdf
printf '#!/bin/sh\necho hello\n' >script-without-extension
tar cf files.tar notes.md data.json
gzip -9nc notes.md >notes.md.gz
