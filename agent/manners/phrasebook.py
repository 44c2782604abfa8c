"""The phrases that everybody uses on a phone, in English, Hindi and Hinglish, as data.

Spellings are those of people who write Hindi in Latin letters, and what a recogniser of English may
make of it; letters held long, nuktas and the like need not be listed (see `agent.manners.words`).
"""

from __future__ import annotations

from contracts.bot import BotConfig


def _listed(phrases: str) -> tuple[str, ...]:
    return tuple(phrase.strip() for phrase in phrases.split(","))


LISTENING = _listed(
    "ah, aha, alright, all right, go on, got it, hm, hmm, huh, i see, k, mhm, mm, mm hmm, oh, "
    "oh okay, ok, okay, right, uh, uh huh, um, uhm, uh hum, yeah, yep, yup, ya, yah, yea, "
    # Hinglish, and what recognisers of English make of it.
    "haan, han, ha, haa, hann, hahn, haan ji, haanji, hanji, han ji, ha ji, ji, jee, gee, "
    "ji haan, ji han, ji ha, ji ji, jihan, hu, hun, hoon, theek hai, thik hai, theek he, "
    "thik he, teek hai, tik hai, theek, thik, theek ha, thik ha, tick hai, thick hai, theke, "
    "thike, theekhai, thikhai, acha, achha, achcha, acchha, atcha, accha ji, achha ji, "
    "achcha ji, sahi hai, sahi he, sahi, sai hai, samajh gaya, samajh gayi, samjha, samjhi, ho, "
    "oke ji, ok ji, okay ji, ok sir, haan haan, ji sir, ji madam, ji mam, ji maam, han sir, "
    "haan sir, "
    # Devanagari.
    "हाँ, हां, हा, हाँ जी, जी, जी हाँ, जी हां, हाँजी, हांजी, हम्म, हम, हूँ, हूं, ओके, ओके जी, "
    "ठीक है, ठीक, ठीक हैं, ठिक है, अच्छा, अच्छा जी, सही है, सही, समझ गया, समझ गयी, समझ गई, या, "
    "राइट, ओह, आह, उम"
)
"""However many of these in a row, they say no more than "I am listening"."""

COURTESIES = _listed(
    "cool, fine, good, got, great, it, nice, perfect, thank, thanks, you, wonderful, very good, "
    "excellent, lovely, thanks a lot, yes, yes sir, sure, of course, bilkul, bilkool, bil kul, "
    "no problem, no no problem, no problems, no worries, no issue, no issues, koi baat nahi, "
    "koi baat nahin, koi dikkat nahi, koi problem nahi, कोई बात नहीं, कोई बात नही, "
    "कोई दिक्कत नहीं, नो प्रॉब्लम, "
    "बिल्कुल, बिलकुल, यस, shukriya, dhanyavaad, dhanyavad, dhanyawad, badhiya, badiya, शुक्रिया, "
    "धन्यवाद, थैंक यू, थैंक्यू, बढ़िया, गुड"
)
"""These do not cut a bot off either, but said into its silence they are answered."""

HIGH_INTENT = _listed(
    # Stop.
    "stop, wait, hold on, hang on, excuse me, sorry, pardon, one minute, one second, "
    "just a minute, just a second, listen, no, ruko, rukiye, ruk jao, ruk jaao, ruk jaiye, "
    "ruk jaaiye, ruk, bas, bas karo, suno, suniye, suniye na, ek minute, ek minat, ek second, "
    "ek sec, nahi, nahin, nai, naheen, mat karo, chup, रुको, रुकिए, रुकिये, रुक जाओ, रुक जाइए, "
    "रुक जाइये, बस, बस करो, सुनो, सुनिए, सुनिये, एक मिनट, एक सेकंड, एक सेकेंड, नहीं, नही, स्टॉप, "
    "वेट, नो, "
    # Is anybody there?
    "hello, hallo, can you hear me, हेलो, हैलो, awaaz nahi aa rahi, awaz nahi aa rahi, "
    "sunai nahi de raha, आवाज नहीं आ रही, सुनाई नहीं दे रहा, "
    # The wrong person.
    "wrong number, wrong person, rong number, galat number, galat nambar, raang number, "
    "गलत नंबर, गलत नम्बर, रॉन्ग नंबर, रोंग नंबर, राँग नंबर, रॉंग नंबर, "
    # Nothing is owed.
    "already paid, i have paid, i paid, ive paid, paid already, payment done, payment is done, "
    "paise de diye, paisa de diya, paise diye, pay kar diya, pay kar diye, payment kar diya, "
    "payment kar di, payment ho gaya, payment ho gayi, payment ho chuka, bhar diya, bhar diye, "
    "bhar di, jama kar diya, jama kar diye, पैसे दे दिए, पैसे दे दिये, पैसा दे दिया, "
    "पेमेंट कर दिया, पेमेंट कर दी, पेमेंट हो गया, पेमेंट हो गई, पेमेंट हो चुका, भर दिया, भर दिए, "
    "जमा कर दिया, जमा कर दिए, पे कर दिया, "
    # Somebody else.
    "agent, operator, human, real person, representative, manager, supervisor, customer care, "
    "talk to someone, speak to someone, insaan, insan, aadmi se baat, kisi se baat, "
    "baat karni hai, baat karna hai, baat karao, baat karwao, baat karaiye, एजेंट, मैनेजर, "
    "बात करनी है, बात करना है, बात कराओ, बात करवाओ, बात कराइए, इंसान, कस्टमर केयर, ऑपरेटर, "
    # The end of the matter.
    "settlement, settle, not interested, do not call, dont call, nahi chahiye, nahin chahiye, "
    "call mat karo, phone mat karo, सेटलमेंट, नहीं चाहिए, कॉल मत करो, goodbye, good bye, bye, "
    "bye bye, alvida, बाय, अलविदा"
)
"""Too short for most `min_words_interruption`, and never a mere listener's noise."""

LOOK_ALIKES = _listed(
    "no problem, no problems, no worries, no issue, no issues, no doubt, no wonder, no rush, "
    "no hurry, no need to hurry, koi baat nahi, koi baat nahin, kyun nahi, kyon nahi, kyu nahi, "
    "kyo nahi, koi dikkat nahi, koi problem nahi, no no problem, कोई बात नहीं, कोई बात नही, "
    "क्यों नहीं, कोई दिक्कत नहीं, नो प्रॉब्लम, बस ठीक, by the way, bye the way, bus stop, "
    "non stop, nonstop, cant wait, can not wait, cannot wait, sorry to hear, human resources, "
    "travel agent, estate agent, agent of, wait and see, listen to, settle down"
)
"""What sounds like one of the former and is none."""

NEGATIONS = _listed("not, dont, do not, didnt, did not, isnt, is not, never, without, no")
"""Just before such a phrase they take it back: "don't stop", "not a wrong number"."""

HELLOS = _listed("hello, hallo, helo, hi, hey, hey there, hi there, हेलो, हैलो, हाय")
"""These answer no question but whether anybody is there."""

GREETINGS = _listed(
    "speaking, this is, good, good morning, good afternoon, good evening, morning, who, kaun, "
    "bolo, boliye, bol raha, bol rahi, bol raha hu, bol rahi hu, bol raha hoon, namaste, "
    "namaskar, नमस्ते, नमस्कार, बोलो, बोलिए, बोलिये, कौन"
)
"""What else people say when they pick up."""

CORRECTIONS = _listed(
    "wait, hold on, hang on, one more, stop, no, sorry, actually, ruko, rukiye, ek minute, nahi, "
    "nahin, suno, suniye, रुको, रुकिए, एक मिनट, नहीं, सुनो, सुनिए"
)
"""What holds up a goodbye that the bot is saying; a "bye" said into it does not."""

BOT_GOODBYES = _listed(
    "goodbye, good bye, bye, bye bye, bye for now, have a nice day, have a great day, "
    "have a good day, have a lovely day, have a nice evening, have a great evening, "
    "have a good evening, have a good one, have a wonderful day, have a pleasant day, "
    "have a nice day ahead, have a great day ahead, have a good day ahead, "
    "have a wonderful day ahead, have a great weekend, have a nice weekend, take care, alvida, "
    "aapka din shubh ho, apka din shubh ho, अलविदा, आपका दिन शुभ हो, शुभ दिन, बाय"
)
"""A line of the bot's that ends with one of these was its last."""

ADDRESSES = _listed("sir, madam, maam, mam, ma'am, ji, सर, मैडम")
"""Whom a goodbye is for who has no name."""

MENTIONS = _listed("say, says, saying, said, the word")
"""A goodbye right behind one of these is spoken of."""

CALLER_GOODBYES = _listed(
    "goodbye, good bye, good by, bye, bye bye, bye now, that is all, thats all, that is it, "
    "thats it, nothing else, see you, talk to you later, have a nice day, alvida, bas itna hi, "
    "aur kuch nahi, aur kuch nahin, nahi bas, nahin bas, nai bas, no bas, "
    "rakhta hu, rakhta hoon, rakhti hu, rakhti hoon, बाय, बाय बाय, अलविदा, बस इतना ही, "
    "और कुछ नहीं, और कुछ नही, नहीं बस, नही बस, रखता हूँ, रखती हूँ"
)
"""A turn of the caller's that is one of these, courtesies aside, is their last."""

PARTING = _listed(
    "no, nope, nah, nahi, nahin, nai, then, now, for now, so, and, for today, for your help, "
    "for your time, chalo, chaliye, to, toh, phir, नहीं, नही, चलो, चलिए, तो, फिर"
)
"""What else goes with a goodbye; alone it is none."""

REQUESTS = _listed(
    "please tell me, tell me, let me know, please confirm, please say, say yes, please give me, "
    "say okay, when you are ready, please share, please enter, kya, bataiye, bataye, batao, "
    "kaun, kab, kahan, kitna, kitne, kaise, boliye, confirm kijiye, क्या, बताइए, बताइये, बताएं, "
    "कौन, कब, कहाँ, कितना, कितने, कैसे, बोलिए, कन्फर्म कीजिए, पुष्टि कीजिए"
)
"""What asks for an answer without a question mark."""

FILLERS = {
    "en": ("One moment, please.", "Let me see.", "Just a second."),
    "hi": ("एक मिनट।", "जी, देखते हैं।", "बस एक सेकंड।"),
}
THERE = {"en": "Are you still there?", "hi": "क्या आप लाइन पर हैं?"}


def language_of(config: BotConfig) -> str:
    """Return the language that the bot speaks, without a region: `en`."""
    spoken = config.tts.language
    if config.runtime_mode == "realtime" and config.realtime and config.realtime.language:
        spoken = config.realtime.language
    return spoken.replace("_", "-").partition("-")[0].lower() or "en"
