namespace KvMesh.LoadTest.Quality;

/// <summary>SplitMix64 (Steele, Lea, Flood, OOPSLA 2014), as benchmarks/quality/train.py has it: the same numbers in both.</summary>
internal sealed class SplitMix(ulong seed)
{
    private ulong _state = seed;

    /// <summary>A number from 0 to below <paramref name="bound"/>.</summary>
    public int Below(int bound) => (int)((Next() >> 33) % (ulong)bound);

    public T Pick<T>(IReadOnlyList<T> items) => items[Below(items.Count)];

    /// <summary>So many different numbers below a bound, in random order.</summary>
    public int[] Some(int count, int bound)
    {
        int[] numbers = [.. Enumerable.Range(0, bound)];
        for (var index = 0; index < count; index++)
        {
            var other = index + Below(bound - index);
            (numbers[index], numbers[other]) = (numbers[other], numbers[index]);
        }

        return numbers[..count];
    }

    private ulong Next()
    {
        _state += 0x9E37_79B9_7F4A_7C15;
        var z = _state;
        z = (z ^ (z >> 30)) * 0xBF58_476D_1CE4_E5B9;
        z = (z ^ (z >> 27)) * 0x94D0_49BB_1331_11EB;
        return z ^ (z >> 31);
    }
}
