"""What words say about who took a call: pure; English and Hindi, in either script."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from enum import StrEnum

from contracts.machine import AnsweredBy


class Clue(StrEnum):
    """What a text gives away.

    `ABSENT`: a machine, though what it wants is still to come. `AWAY`: a mailbox where it is the
    greeting; in the middle of a talk people say it, too.
    """

    VOICEMAIL = "voicemail"
    UNAVAILABLE = "unavailable"
    SCREENING = "screening"
    MENU = "menu"
    ABSENT = "absent"
    AWAY = "away"
    HUMAN = "human"


MACHINES = frozenset(Clue) - {Clue.HUMAN}
_ANNOUNCED = (Clue.UNAVAILABLE, Clue.ABSENT)
"""Who announces that asks nothing, and greets nobody in the end."""

_WHO = r"(?:number|person|customer|subscriber|user|party|phone)"
_DIALLED = (
    r"(?:call(?:ing|ed)?|dial(?:l?ed|l?ing)?|(?:try(?:ing|ied)? to )?reach(?:ed|ing)?|try(?:ing)?)"
)
_SIGN = r"(?:star|pound|hash|[*#])"
_KEY = rf"(?:one|two|three|four|five|six|seven|eight|nine|zero|any key|[0-9]|{_SIGN})(?!\w)"
_KEY_HI = (
    r"(?:ek|do|teen|tin|char|chaar|panch|paanch|shunya|एक|दो|तीन|चार|पांच|पाँच|शून्य|[0-9]"
    rf"|{_SIGN}|स्टार|हैश)"
)
_REACHED = r"(?:reached|gotten|got through to)"

_PATTERNS: dict[Clue, tuple[str, ...]] = {
    # Somebody at a reception says some of what a machine does.
    Clue.HUMAN: (
        r"\b(?:(?:would|do) you (?:like|want|care) to"
        r"|can i|could i|may i|shall i) (?:leave|take)\b",
        r"\bhow (?:can|may|could) (?:i|we) (?:help|assist)",
        r"\bwho(?: is|s) (?:this|it|that|there|calling|speaking)\b",
        r"\bwho(?: am i| are you| do you)\b|\bwhat(?: is|s) (?:this|it) about\b",
        r"\bmay i (?:have|ask|know)\b|\bspeaking (?:how|what|sorry)\b|\b(?:hello|haan)$",
        r"\bwhat do you want\b|\bcan you hear me\b|\bare you there\b|\bis anybody there\b",
        r"\bi(?: am|m) (?:here|listening|on the line)\b|\bgo ahead\b|\bspeaking$",
        r"\b(?:kaun|kon) (?:bol|hai|he|baat)|\bkahan se\b|\bkya (?:kaam|baat|hua)\b",
        r"(?:कौन|क्या काम|क्या बात|कहां से|कहाँ से|बोल"
        r" रहा हूं|बोल रही हूं|बोल रहा हूँ|बोल रही हूँ)",
    ),
    Clue.SCREENING: (
        r"\b(?:record|state|say|give|leave|tell)(?: me)? your"
        r" (?:full )?name\b.{0,30}\b(?:reason|why)\b",
        r"\bsee if (?:this|the|that) (?:person|party|subscriber|customer) is available\b",
        r"\bscreening service\b|\b(?:call|calls) (?:is|are) (?:being )?screened\b|\bcall screen",
        r"\bstay on the line\b|\bfind out if (?:they|he|she|this person) (?:is|are) available\b",
        r"\b(?:apna|aapka) naam\b.{0,40}\b(?:karan|kyon|kyun|wajah)\b",
        r"अपना नाम.{0,40}(?:कारण|क्यों)",
    ),
    Clue.UNAVAILABLE: (
        rf"\b{_WHO}\b.{{0,40}}\b(?:switched|turned|powered) off\b",
        r"\bis (?:currently )?switched off\b",
        r"\b(?:out of|outside|not in|not within)(?: the|"
        r" your)? (?:network )?(?:coverage|service area)",
        rf"\b{_WHO}\b.{{0,50}}\b(?:busy|not (?:reachable|answering|responding))\b",
        r"\bnot in service\b|\bno longer in service\b",
        r"\bout of service\b|\bnot (?:currently )?in use\b",
        rf"\b{_WHO}\b.{{0,40}}\b(?:disconnected|suspended"
        rf"|does not exist|doesnt exist|not valid|invalid)",
        r"\bincoming calls?\b.{0,25}\b(?:barred|not (?:allowed|available|permitted))\b",
        r"\b(?:mail ?box|inbox|voice ?mail)\b.{0,30}\b(?:is"
        r" full|not (?:yet )?(?:been )?set ?up)\b",
        r"\b(?:mail ?box|inbox|voice ?mail)\b.{0,30}\bhasnt (?:yet )?been set ?up\b",
        r"\bcannot (?:accept|take) (?:any )?(?:new |more )?messages\b",
        r"\byour call (?:cannot|can not|cant|could not) be (?:completed|connected)\b",
        r"\b(?:swich|switch|switched) (?:off|of) (?:hai|he|h)\b|\bbandh? hai\b",
        r"\b(?:pahunch|pahuch|network(?: kshetra| area)?|coverage) (?:se|ke) (?:bahar|baahar)\b",
        r"स्विच ?(?:ऑफ|ऑफ़|आफ)|(?:नंबर|नम्बर|मोबाइल).{0,30}बंद है",
        r"(?:पहुंच|पहुँच|क्षेत्र|कवरेज).{0,12}बाहर",
        r"उत्तर नहीं|जवाब नहीं दे|(?:नंबर|नम्बर|लाइन|ग्राहक|उपभोक्ता).{0,30}व्यस्त",
        r"\b(?:uttar|jawab) nah?i[n]? d(?:e|iya)",
        r"\b(?:graahak|grahak|upbhokta|number)\b.{0,30}\bvyast\b",
    ),
    Clue.VOICEMAIL: (
        r"\b(?:leave|record|drop)(?: me| us| him| her| them)?(?: a| an| your| the)?"
        r"(?: brief| short| detailed| quick)*(?: message| name| number| details| voice ?mail)",
        r"\b(?:after|at|following|on|for|wait for) the (?:tone|beep|signal)\b|\bwhen you hear the",
        r"\bvoice ?mail\b|\bvoice messag",
        r"\bmessag(?:e|ing) (?:system|service)\b|\banswering machine\b",
        r"\bmail ?box\b",
        r"\byour call (?:has been|is being|was|will be)"
        r" (?:automatically )?(?:forwarded|diverted)\b",
        r"\b(?:you may|please|or) hang ?up\b.{0,20}\bpress\b",
        r"\bwhen you(?: are|re| have)? finished\b",
        r"\b(?:sandesh|message|sandes|massage)\b.{0,15}\b(?:chh?od|chh?or|record|bhej|de d)",
        r"\b(?:beep|tone|bip) (?:ke|k) (?:baad|bad)\b",
        r"(?:संदेश|सन्देश|मैसेज|मेसेज).{0,15}(?:छोड़|छोड|रिकॉर्ड|रिकार्ड|भेज)",
        r"(?:बीप|टोन) (?:के|की) बाद",
        r"वॉइस ?मेल|वॉयस ?मेल|वाइस ?मेल",
    ),
    Clue.AWAY: (
        r"\b(?:cant|cannot|can not|could not|couldnt|unable to|not able to)(?: currently)?"
        r" (?:come to|answer|take|get to|pick up|attend)(?:"
        r" the| my| your| this| to your)* (?:phone|calls?)",
        r"\b(?:i|we)(?: will|ll| shall)? (?:get|call|ring|phone)(?: back to)? (?:you )?"
        r"(?:back )?(?:to you )?(?:as soon|when i|once i|at my|shortly)",
        r"\breturn your call\b|\bmissed your call\b",
        r"\bvapas (?:call|phone)\b",
    ),
    Clue.MENU: (
        rf"\b(?:press|dial|push) (?:the )?(?:number |# ?)?{_KEY}",
        rf"\b(?:hit|followed by) (?:the )?{_SIGN}(?!\w)",
        rf"(?<!\w){_KEY_HI} (?:dabaa?(?:y|i|e|o)\w*|dabayen|dabaen)|{_KEY_HI} दबा",
        r"\byour call is important to us\b|\ball (?:of )?our (?:agents|operators|lines) are\b",
    ),
    Clue.ABSENT: (
        rf"\b{_WHO}\b.{{0,12}}\byou(?: are|re| have|ve)? {_DIALLED}\b",
        r"\byou(?: are|re| have|ve) (?:calling|dialled|dialed|trying to reach)\b",
        rf"\b{_WHO}\b.{{0,30}}\b(?:not available|unavailable|not reachable)\b",
        r"\b(?:is|are) (?:currently |presently |temporarily"
        r" )?(?:not available|unavailable)\b.{0,30}"
        r"\btry\b.{0,12}\b(?:later|again)\b|\bplease try (?:again|your call)\b",
        r"\b(?:up+lab?a?dh|uplabdha?|available) (?:nah?i[n]?|nhi)\b",
        r"\bjis (?:number|vyakti|graahak|grahak|upbhokta|mobile)\b|\bdial kiya (?:gaya|hua)\b",
        r"\bkripaya? .{0,25}\b(?:baad|bad) (?:mein|me|main)\b|\bsamp?ark nah?i[n]?\b",
        r"उपलब्ध नहीं|जिस (?:नंबर|नम्बर|व्यक्ति|ग्राहक|उपभोक्ता|मोबाइल)",
        r"डायल किया|संपर्क नहीं|सम्पर्क नहीं",
        r"कृपया.{0,25}बाद में",
    ),
}  # fmt: skip
_COMPILED = {clue: re.compile("|".join(parts)) for clue, parts in _PATTERNS.items()}
_ORDER = (
    Clue.SCREENING, Clue.UNAVAILABLE, Clue.VOICEMAIL, Clue.AWAY, Clue.MENU, Clue.ABSENT,
)  # fmt: skip

_GREETINGS = frozenset(
    (
        *(
            "hello",
            "hallo",
            "halo",
            "helo",
            "hi",
            "hey",
            "yes",
            "yeah",
            "yep",
            "what",
            "who",
            "sorry",
        ),
        *("pardon", "huh", "no", "speaking", "haan", "han", "haa", "haanji", "hanji", "ji", "jee"),
        *(
            "namaste",
            "namaskar",
            "bolo",
            "boliye",
            "boliyega",
            "kaun",
            "kon",
            "kya",
            "allo",
            "morning",
        ),
        *("हेलो", "हैलो", "हलो", "हां", "हाँ", "जी", "नमस्ते", "नमस्कार", "बोलिए", "बोलिये", "बोलो", "कौन"),
    )
)
_FEW_WORDS = 6
_UNFINISHED = re.compile(
    r"\b(?:this is|its \w+$|you have|youve|you|welcome to"
    r"|thank you for calling|thanks for calling|reached|"
    r"yeh|ye|aap|यह|आप)\b"
)
_INTRODUCED = re.compile(
    r"\b(?:this is|my name is|you(?: are|re) (?:speaking|talking) (?:with|to)|through to)"
    r" (?!(?:a|an|the|our|your|not) )\w+(?: \w+)?$|\bbol rah[ai] h(?:u|un|oo|oon)$"
)
_REACHED_WORDS = re.compile(rf"\byou(?: have|ve| are|re)? {_REACHED}\b")


def words_of(text: str) -> str:
    """Return `text` in lower case, words separated by single spaces, nothing else left."""
    plain = unicodedata.normalize("NFC", text).lower().replace("'", "").replace("\u2019", "")
    kept = (
        char if unicodedata.category(char)[0] in "LMN" or char in "*#" else " " for char in plain
    )
    return " ".join("".join(kept).split())


def read(text: str, own: Mapping[AnsweredBy, Sequence[str]]) -> Clue | None:
    """Return what `text` gives away about who says it; None where it could be anybody.

    Args:
        text: everything said so far, as a recogniser writes it.
        own: the bot's own phrases.
    """
    said = words_of(text)
    if not said:
        return None
    for name, phrases in own.items():
        if any(f" {words_of(phrase)} " in f" {said} " for phrase in phrases):
            return Clue(name)
    human = _COMPILED[Clue.HUMAN].sub(" ", said)
    for clue in _ORDER:
        if _COMPILED[clue].search(human):
            return Clue.HUMAN if human != said and clue in _ANNOUNCED else clue
    spoken = said.split()
    is_greeting = len(spoken) <= _FEW_WORDS and not _GREETINGS.isdisjoint(spoken)
    return Clue.HUMAN if human != said or is_greeting else None


def is_unfinished(text: str) -> bool:
    """Return whether a sentence is likely to follow, though what was said could be all."""
    return bool(_UNFINISHED.search(words_of(text)))


def is_invitation(text: str) -> bool:
    """Return whether it ends as people do who give the floor: with a question, or their name."""
    return text.rstrip().endswith(("?", "\u061f", "\uff1f")) or bool(
        _INTRODUCED.search(words_of(text))
    )


def is_self_introduction(text: str) -> bool:
    """Return whether it begins as recorded greetings do, and as some receptionists."""
    return bool(_REACHED_WORDS.search(words_of(text)))
