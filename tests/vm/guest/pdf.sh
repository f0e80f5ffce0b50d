#!/bin/sh -eu
# pdf.sh WORDS [BYTES]: a PDF of one page, made longer by so many random bytes.
cat <<END
%PDF-1.4
1 0 obj << /Type /Catalog /Pages 2 0 R >> endobj
2 0 obj << /Type /Pages /Kids [3 0 R] /Count 1 >> endobj
3 0 obj << /Type /Page /Parent 2 0 R /MediaBox [0 0 300 100] /Contents 4 0 R >> endobj
4 0 obj << /Length $((${#1} + 34)) >> stream
BT /F1 12 Tf 20 50 Td ($1) Tj ET
endstream endobj
END
head -c "${2:-0}" /dev/urandom | base64 | sed 's/^/% /'
printf 'trailer << /Root 1 0 R >>\nstartxref\n0\n%%%%EOF\n'
