namespace KvMesh.Codecs.Blocks;

/// <summary>
/// Which tokens of its span a block still has, after others were dropped: for each row how far its position lies behind the block's first
/// position, ascending. Stored as the gaps between them in groups of seven bits, lowest first: a byte for nearly every token.
/// </summary>
public static class KeptTokens
{
    /// <summary>Positions of a block lie within so many.</summary>
    public const int MaxSpan = 1 << 20;

    private const int MaxGapBytes = 3;

    /// <summary>Most bytes of a stored list.</summary>
    internal static int MaxBytes(int tokens) => tokens * MaxGapBytes;

    /// <summary>How many of them are first tokens of the sequence, on which attention rests.</summary>
    internal static int SinkCount(ReadOnlySpan<int> offsets, long firstPosition)
    {
        var count = 0;
        while (count < offsets.Length && firstPosition + offsets[count] < RawTokens.SinkTokens)
        {
            count++;
        }

        return count;
    }

    internal static int Write(ReadOnlySpan<int> offsets, Span<byte> destination)
    {
        var at = 0;
        var next = 0;
        foreach (var offset in offsets)
        {
            var gap = (uint)(offset - next);
            for (; gap >= 0x80; gap >>= 7)
            {
                destination[at++] = (byte)(gap | 0x80);
            }

            destination[at++] = (byte)gap;
            next = offset + 1;
        }

        return at;
    }

    /// <summary>Reads a list that nobody vouches for.</summary>
    /// <param name="source">All of the list.</param>
    /// <param name="tokens">Rows of the block.</param>
    /// <param name="offsets">Where the offsets go, or nothing to check the list only.</param>
    /// <returns>False when it is not one of as many tokens within <see cref="MaxSpan"/>.</returns>
    internal static bool TryRead(ReadOnlySpan<byte> source, int tokens, Span<int> offsets)
    {
        var at = 0;
        var next = 0;
        for (var token = 0; token < tokens; token++)
        {
            var gap = 0;
            var shift = 0;
            byte part;
            do
            {
                if (at == source.Length || shift == 7 * MaxGapBytes)
                {
                    return false;
                }

                part = source[at++];
                gap |= (part & 0x7F) << shift;
                shift += 7;
            }
            while (part >= 0x80);

            if (next + gap >= MaxSpan)
            {
                return false;
            }

            if (!offsets.IsEmpty)
            {
                offsets[token] = next + gap;
            }

            next += gap + 1;
        }

        return at == source.Length;
    }

    /// <exception cref="ArgumentException">There is not one offset for each token, or they do not ascend within <see cref="MaxSpan"/>.</exception>
    internal static void Validate(ReadOnlySpan<int> offsets, int tokens)
    {
        if (offsets.Length != tokens)
        {
            throw new ArgumentException($"{offsets.Length} kept offsets are given for {tokens} tokens.");
        }

        for (var index = 0; index < offsets.Length; index++)
        {
            if (offsets[index] < (index == 0 ? 0 : offsets[index - 1] + 1) || offsets[index] >= MaxSpan)
            {
                throw new ArgumentException($"kept offset {offsets[index]} of token {index} must be above that before it and below {MaxSpan}.");
            }
        }
    }
}
