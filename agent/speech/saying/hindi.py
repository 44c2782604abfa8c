"""Figures in Hindi, in its own script and in Latin letters."""

from __future__ import annotations

from dataclasses import dataclass

from agent.speech.saying.english import MONTHS
from agent.speech.saying.tongue import Amount, Currency

_DEVANAGARI = """
शून्य एक दो तीन चार पाँच छह सात आठ नौ दस ग्यारह बारह तेरह चौदह पंद्रह सोलह सत्रह अठारह उन्नीस
बीस इक्कीस बाईस तेईस चौबीस पच्चीस छब्बीस सत्ताईस अट्ठाईस उनतीस तीस इकतीस बत्तीस तैंतीस चौंतीस
पैंतीस छत्तीस सैंतीस अड़तीस उनतालीस चालीस इकतालीस बयालीस तैंतालीस चौवालीस पैंतालीस छियालीस
सैंतालीस अड़तालीस उनचास पचास इक्यावन बावन तिरपन चौवन पचपन छप्पन सत्तावन अट्ठावन उनसठ साठ इकसठ
बासठ तिरसठ चौंसठ पैंसठ छियासठ सड़सठ अड़सठ उनहत्तर सत्तर इकहत्तर बहत्तर तिहत्तर चौहत्तर पचहत्तर
छिहत्तर सतहत्तर अठहत्तर उन्यासी अस्सी इक्यासी बयासी तिरासी चौरासी पचासी छियासी सत्तासी अट्ठासी
नवासी नब्बे इक्यानवे बानवे तिरानवे चौरानवे पचानवे छियानवे सत्तानवे अट्ठानवे निन्यानवे
"""
_LATIN = """
shunya ek do teen chaar paanch chhah saat aath nau das gyarah barah terah chaudah pandrah solah
satrah atharah unnees bees ikkees baees teis chaubees pachchees chhabbees sattaees atthaees
untees tees ikattees battees taintees chauntees paintees chhattees saintees adtees untaalees
chaalees iktaalees bayaalees taintaalees chauvaalees paintaalees chhiyaalees saintaalees
adtaalees unchaas pachaas ikyaavan baavan tirpan chauvan pachpan chhappan sattaavan atthaavan
unsath saath iksath baasath tirsath chaunsath painsath chhiyaasath sadsath adsath unhattar
sattar ikhattar bahattar tihattar chauhattar pachhattar chhihattar sathattar athhattar unyaasi
assi ikyaasi bayaasi tiraasi chauraasi pachaasi chhiyaasi sattaasi atthaasi navaasi nabbe
ikyaanve baanve tiraanve chauraanve pachaanve chhiyaanve sattaanve atthaanve ninyaanve
"""
_MONTHS = "जनवरी फ़रवरी मार्च अप्रैल मई जून जुलाई अगस्त सितंबर अक्टूबर नवंबर दिसंबर"
_SIZES = (
    (1_000_000_000, "arab"),
    (10_000_000, "crore"),
    (100_000, "lakh"),
    (1_000, "thousand"),
    (100, "hundred"),
)
_MOST = 100_000_000_000


@dataclass(frozen=True, slots=True)
class Hindi:
    """One of its scripts: its words.

    Attributes:
        numbers: nought to ninety-nine.
        scales: of `hundred`, `thousand`, `lakh`, `crore` …
        coins: of each currency: one, many, one of the small ones, many of them.
        months: January to December.
        ordinals: first to sixth; the others are numbers with `nth` behind.
        parts: of the day, from night to night: before 4, 12, 16 and 20 o'clock, and after.
    """

    numbers: list[str]
    scales: dict[str, str]
    coins: dict[Currency, tuple[str, str, str, str]]
    months: tuple[str, ...]
    ordinals: tuple[str, ...]
    nth: str
    parts: tuple[str, str, str, str]
    point: str
    per: str
    percent_word: str
    to: str
    plus_word: str
    minus_word: str
    o_clock: str
    past: str
    minutes: str
    quarter_past: str
    half_past: str
    quarter_to: str
    one_and_a_half: str
    two_and_a_half: str
    is_day_first: bool = True

    def quantity(self, amount: Amount) -> str:
        if not amount.scale:
            words = self._cardinal(amount.whole)
            return (
                f"{words} {self.point} {self.digits(amount.fraction)}" if amount.fraction else words
            )
        return f"{self._scaled(amount)} {self.scales[amount.scale]}"

    def digits(self, figures: str) -> str:
        return " ".join(self.numbers[int(figure)] for figure in figures)

    def money(self, amount: Amount, currency: Currency) -> str:
        one, many, coin, coins = self.coins[currency]
        if amount.scale or len(amount.fraction) > 2:
            return f"{self.quantity(amount)} {many}"
        small = int(amount.fraction.ljust(2, "0")) if amount.fraction else 0
        parts = []
        if amount.whole or not small:
            parts.append(f"{self._cardinal(amount.whole)} {one if amount.whole == 1 else many}")
        if small:
            parts.append(f"{self.numbers[small]} {coin if small == 1 else coins}")
        return " ".join(parts)

    def percent(self, amount: Amount) -> str:
        return f"{self.quantity(amount)} {self.percent_word}"

    def date(self, day: int, month: int, year: int | None) -> str:
        words = f"{self.numbers[day]} {self.months[month - 1]}"
        return words if year is None else f"{words} {self.year(year)}"

    def year(self, number: int) -> str:
        hundreds, rest = divmod(number, 100)
        if not 1100 <= number <= 1999:
            return self._cardinal(number)
        words = f"{self.numbers[hundreds]} {self.scales['hundred']}"
        return f"{words} {self.numbers[rest]}" if rest else words

    def time(self, hour: int, minute: int, half: str) -> str:
        if half:
            hour = hour % 12 + (12 if half == "pm" else 0)
        words = self._clock(hour % 12 or 12, minute)
        return f"{self._part(hour)} {words}" if half or hour > 12 or hour == 0 else words

    def ordinal(self, number: int) -> str:
        if 1 <= number <= len(self.ordinals):
            return self.ordinals[number - 1]
        return f"{self._cardinal(number)}{self.nth}"

    def between(self, first: str, last: str) -> str:
        return f"{first} {self.to} {last}"

    def minus(self, words: str) -> str:
        return f"{self.minus_word} {words}"

    def plus(self, words: str) -> str:
        return f"{self.plus_word} {words}"

    def _cardinal(self, number: int) -> str:
        if number >= _MOST:
            return self.digits(str(number))
        words = []
        for size, name in _SIZES:
            if number >= size:
                words.append(f"{self._cardinal(number // size)} {self.scales[name]}")
                number %= size
        if number or not words:
            words.append(self.numbers[number])
        return " ".join(words)

    def _scaled(self, amount: Amount) -> str:
        if not amount.fraction.strip("0"):
            return self._cardinal(amount.whole)
        if amount.fraction.rstrip("0") == "5" and amount.whole > 0:
            special = {1: self.one_and_a_half, 2: self.two_and_a_half}
            return special.get(amount.whole) or f"{self.half_past} {self._cardinal(amount.whole)}"
        return self.quantity(Amount(amount.whole, amount.fraction))

    def _clock(self, hour: int, minute: int) -> str:
        if minute == 0:
            return f"{self.numbers[hour]} {self.o_clock}"
        if minute == 15:
            return f"{self.quarter_past} {self.numbers[hour]} {self.o_clock}"
        if minute == 30:
            special = {1: self.one_and_a_half, 2: self.two_and_a_half}
            words = special.get(hour) or f"{self.half_past} {self.numbers[hour]}"
            return f"{words} {self.o_clock}"
        if minute == 45:
            return f"{self.quarter_to} {self.numbers[hour % 12 + 1]} {self.o_clock}"
        return f"{self.numbers[hour]} {self.past} {self.numbers[minute]} {self.minutes}"

    def _part(self, hour: int) -> str:
        night, morning, noon, evening = self.parts
        if hour < 4 or hour >= 20:
            return night
        if hour < 12:
            return morning
        return noon if hour < 16 else evening


DEVANAGARI = Hindi(
    numbers=_DEVANAGARI.split(),
    scales={
        "hundred": "सौ",
        "thousand": "हज़ार",
        "lakh": "लाख",
        "crore": "करोड़",
        "arab": "अरब",
        "million": "मिलियन",
        "billion": "बिलियन",
    },
    coins={
        Currency.RUPEE: ("रुपया", "रुपये", "पैसा", "पैसे"),
        Currency.DOLLAR: ("डॉलर", "डॉलर", "सेंट", "सेंट"),
        Currency.EURO: ("यूरो", "यूरो", "सेंट", "सेंट"),
        Currency.POUND: ("पाउंड", "पाउंड", "पेनी", "पेंस"),
    },
    months=tuple(_MONTHS.split()),
    ordinals=("पहला", "दूसरा", "तीसरा", "चौथा", "पाँचवाँ", "छठा"),
    nth="वाँ",
    parts=("रात", "सुबह", "दोपहर", "शाम"),
    point="दशमलव",
    per="प्रति",
    percent_word="प्रतिशत",
    to="से",
    plus_word="प्लस",
    minus_word="माइनस",
    o_clock="बजे",
    past="बजकर",
    minutes="मिनट",
    quarter_past="सवा",
    half_past="साढ़े",
    quarter_to="पौने",
    one_and_a_half="डेढ़",
    two_and_a_half="ढाई",
)  # fmt: skip
LATIN = Hindi(
    numbers=_LATIN.split(),
    scales={
        "hundred": "sau",
        "thousand": "hazaar",
        "lakh": "laakh",
        "crore": "karod",
        "arab": "arab",
        "million": "million",
        "billion": "billion",
    },
    coins={
        Currency.RUPEE: ("rupaya", "rupaye", "paisa", "paise"),
        Currency.DOLLAR: ("dollar", "dollar", "cent", "cent"),
        Currency.EURO: ("euro", "euro", "cent", "cent"),
        Currency.POUND: ("pound", "pound", "penny", "pence"),
    },
    months=MONTHS,
    ordinals=("pehla", "doosra", "teesra", "chautha", "paanchvaan", "chhatha"),
    nth="vaan",
    parts=("raat", "subah", "dopahar", "shaam"),
    point="point",
    per="prati",
    percent_word="pratishat",
    to="se",
    plus_word="plus",
    minus_word="minus",
    o_clock="baje",
    past="bajkar",
    minutes="minute",
    quarter_past="sava",
    half_past="saadhe",
    quarter_to="paune",
    one_and_a_half="dedh",
    two_and_a_half="dhaai",
)
