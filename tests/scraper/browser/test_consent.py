"""Which button answers the question about cookies."""

from __future__ import annotations

from typing import Any, cast

import pytest

from scraper.browser.consent import consent_button
from scraper.browser.driver import Button


def button(label: str, **more: Any) -> Button:
    facts = {"id": "", "form": {}, "asking": True, "below": False} | more
    return Button(element=cast(Any, None), label=label, **facts)


@pytest.mark.parametrize(
    ("refuse", "accept", "other"),
    [
        ("Reject all", "Accept all", "More options"),
        ("Nur notwendige", "Alle akzeptieren", "Einstellungen"),
        ("Alle ablehnen", "Ich stimme zu", "Weitere Optionen"),
        ("Tout refuser", "Tout accepter", "Plus d'options"),
        ("Rechazar todo", "Aceptar todo", "Más opciones"),
        ("Rifiuta tutto", "Accetta tutto", "Altre opzioni"),
        ("Alles afwijzen", "Alles accepteren", "Meer opties"),
        ("Rejeitar tudo", "Aceitar tudo", "Mais opções"),
        ("Odrzuć wszystko", "Zaakceptuj wszystko", "Więcej opcji"),
        ("Avvisa alla", "Godkänn alla", "Fler alternativ"),
        ("Hylkää kaikki", "Hyväksy kaikki", "Lisää vaihtoehtoja"),
        ("Az összes elutasítása", "Az összes elfogadása", "További lehetőségek"),
        ("Απόρριψη όλων", "Αποδοχή όλων", "Περισσότερες επιλογές"),
        ("Отклонить все", "Принять все", "Другие варианты"),
        ("Tümünü reddet", "Tümünü kabul et", "Diğer seçenekler"),
        ("सभी अस्वीकार करें", "सभी स्वीकार करें", "ज़्यादा विकल्प"),
        ("すべて拒否", "すべて同意", "その他のオプション"),
        ("全部拒绝", "全部接受", "更多选项"),
        ("모두 거부", "모두 수락", "옵션 더보기"),
        ("ปฏิเสธทั้งหมด", "ยอมรับทั้งหมด", "ตัวเลือกเพิ่มเติม"),
    ],
)
def test_in_many_languages_it_refuses_and_accepts_only_where_it_cannot(
    refuse: str, accept: str, other: str
):
    neither, yes, no = button(other), button(accept), button(refuse)
    assert consent_button([neither, yes, no]) is no
    assert consent_button([neither, yes]) is yes
    assert consent_button([neither]) is None


def test_an_unknown_language_is_known_by_ids_or_by_what_the_form_would_send():
    yes, no = button("Ja", id="bnp_btn_accept"), button("Nei", id="bnp_btn_reject")
    assert consent_button([yes, no]) is no
    yes, no = button("Jes", form={"set_eom": "false"}), button("Ne", form={"set_eom": "true"})
    assert consent_button([yes, no]) is no


def test_a_button_that_stands_in_no_question_is_left_alone():
    assert consent_button([button("Reject all", asking=False)]) is None
