namespace KvMesh.LoadTest.Quality;

/// <summary>What a text asks of the model.</summary>
internal enum QualityTask
{
    /// <summary>Keys with their values, then the keys again in another order: which value has each?</summary>
    Pairs,

    /// <summary>A story with pass keys in it, then a question for each.</summary>
    Passkey,

    /// <summary>A story alone: how well is each word foretold?</summary>
    Story,
}

/// <summary>A text as tokens, and which of them are answers.</summary>
/// <param name="Tokens">Begins with the mark.</param>
/// <param name="Answers">One for each token.</param>
internal sealed record QualityText(int[] Tokens, bool[] Answers)
{
    private const int Tasks = 3;
    private const int MostPasskeys = 8;

    /// <summary>The same text as <c>make</c> in benchmarks/quality/train.py.</summary>
    /// <param name="length">Tokens, at least 64.</param>
    public static QualityText Make(QualityTask task, long seed, int length)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(length, 64);
        var random = new SplitMix((ulong)((seed * Tasks) + (int)task));
        return task switch
        {
            QualityTask.Pairs => Pairs(random, length),
            QualityTask.Passkey => Passkeys(random, length),
            _ => new QualityText([QualityWords.Begin, .. Story(random, length - 1)], new bool[length]),
        };
    }

    private static QualityText Pairs(SplitMix random, int length)
    {
        var count = Math.Min(QualityWords.Keys.Length, (length - 1) / 4);
        var (keys, values) = (random.Some(count, QualityWords.Keys.Length), random.Some(count, QualityWords.Values.Length));
        var filler = Story(random, length - 1 - (4 * count));
        var text = new Writer();
        for (var index = 0; index < count; index++)
        {
            text.Add(PairOf(index));
        }

        text.Add(filler);
        foreach (var index in random.Some(count, count))
        {
            text.Add(PairOf(index), answer: 1);
        }

        return text.End();

        IEnumerable<int> PairOf(int index) => QualityWords.TokensOf(QualityWords.Keys[keys[index]], QualityWords.Values[values[index]]);
    }

    private static QualityText Passkeys(SplitMix random, int length)
    {
        var count = Math.Max(1, Math.Min(MostPasskeys, (length - 1) / 28));
        var (keys, values) = (random.Some(count, QualityWords.Keys.Length), random.Some(count, QualityWords.Values.Length));
        var order = random.Some(count, count);
        int[][] notes = [.. Enumerable.Range(0, count).Select(index =>
            QualityWords.TokensOf(" Remember", " :", " the", " pass", " key", " of", QualityWords.Keys[keys[index]], " is", QualityWords.Values[values[index]], " .").ToArray())];
        int[][] questions = [.. order.Select(index =>
            QualityWords.TokensOf(" What", " is", " the", " pass", " key", " of", QualityWords.Keys[keys[index]], " ?", QualityWords.Values[values[index]], " .").ToArray())];
        var room = length - 1 - notes.Sum(note => note.Length) - questions.Sum(question => question.Length);
        var story = Story(random, room);
        int[] places = [.. Enumerable.Range(0, count).Select(_ => random.Below(room + 1)).Order()];
        var text = new Writer();
        var at = 0;
        foreach (var (place, note) in places.Zip(notes))
        {
            text.Add(story[at..place]);
            text.Add(note);
            at = place;
        }

        text.Add(story[at..]);
        foreach (var question in questions)
        {
            text.Add(question, answer: question.Length - 2);
        }

        return text.End();
    }

    private static int[] Story(SplitMix random, int length)
    {
        var tokens = new List<int>();
        while (tokens.Count < length)
        {
            tokens.AddRange(Sentence(random));
        }

        return [.. tokens.Take(length)];
    }

    /// <summary>One of five forms. Numbers are drawn in the order in which train.py draws them.</summary>
    private static IEnumerable<int> Sentence(SplitMix random)
    {
        var (name, animal, other) = (random.Pick(QualityWords.Names), random.Pick(QualityWords.Animals), random.Pick(QualityWords.Animals));
        var (adjective, place, past) = (random.Pick(QualityWords.Adjectives), random.Pick(QualityWords.Places), random.Pick(QualityWords.Past));
        return random.Below(5) switch
        {
            0 => QualityWords.TokensOf(" The", adjective, animal, past, " a", other, " in", " the", place, " ."),
            1 => QualityWords.TokensOf(" One", random.Pick(QualityWords.Times), name, past, " the", adjective, animal, " ."),
            2 => QualityWords.TokensOf(name, " went", " to", " the", place, " and", " then", past, " a", animal, " ."),
            3 => QualityWords.TokensOf(" The", animal, " slept", " near", " the", place, " all", random.Pick(QualityWords.Times), " ."),
            _ => QualityWords.TokensOf(name, past, " the", animal, " because", " it", " was", random.Pick(QualityWords.Feelings), " ."),
        };
    }

    private sealed class Writer
    {
        private readonly List<int> _tokens = [QualityWords.Begin];
        private readonly List<bool> _answers = [false];

        /// <param name="answer">Which of them is one; none without.</param>
        public void Add(IEnumerable<int> tokens, int answer = -1)
        {
            foreach (var (token, index) in tokens.Select((token, index) => (token, index)))
            {
                _tokens.Add(token);
                _answers.Add(index == answer);
            }
        }

        public QualityText End() => new([.. _tokens], [.. _answers]);
    }
}
