"""The page that asks whether cookies may be kept, in whatever language: we would rather not."""

from __future__ import annotations

import re
from collections.abc import Sequence

from scraper.browser.driver import Button

# Names that Google's and Bing's own buttons have had for years.
REFUSING_IDS = {"W0wltc", "bnp_btn_reject"}
ACCEPTING_IDS = {"L2AGLb", "bnp_btn_accept"}

# Beginnings of the words, as forms differ ("Alle ablehnen", "Ich lehne ab"); never the whole label.
REFUSING = re.compile(
    "reject|declin|refus|deny|necessary|essential|ablehn|lehne|notwendig|rechaz|rifiut|rejeit|recus"
    "|afwijz|weiger|odrzu|avvis|neka|afvis|hylk|odm[ií]t|elutas|resping|απόρρ|απορρ|отхвърл|отклон"
    "|відхил|odbij|odbac|zavrn|avslå|redde|tolak|từ chối|拒|거부|अस्वीकार|প্রত্যাখ|நிராகரி|ปฏิเสธ"
    "|رفض|דחי|לדחות",
    re.IGNORECASE,
)
ACCEPTING = re.compile(
    "accept|agree|allow|akzept|stimm|einverst|acept|accett|aceit|akkoord|akcept|zgadz|godk|godta"
    "|tillad|hyväk|přijm|souhlas|prija|elfogad|αποδ|прием|приня|прийн|prihva|sprejm|kabul|setuju"
    "|terima|đồng ý|同意|接受|許可|동의|수락|स्वीकार|গ্রহণ|ஏற்|ยอมรับ|قبول|موافق|הסכ|לקבל",
    re.IGNORECASE,
)


def consent_button(buttons: Sequence[Button]) -> Button | None:
    """Return the button that answers the question, if one of these does.

    The one that refuses is taken if there is one. Else the one that accepts: what it lets the site
    keep is thrown away with the browser's profile.
    """
    asking = [button for button in buttons if button.asking]
    ways = (
        (button for button in buttons if button.id in REFUSING_IDS),
        (button for button in asking if button.form.get("set_eom") == "true"),  # consent.google.com
        (button for button in asking if REFUSING.search(button.label)),
        (button for button in buttons if button.id in ACCEPTING_IDS),
        (button for button in asking if button.form.get("set_eom") == "false"),
        (button for button in asking if ACCEPTING.search(button.label)),
    )
    return next((button for way in ways for button in way), None)
