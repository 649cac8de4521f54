namespace KvMesh.Codecs.Blocks;

/// <summary>The section of a tensor with those of its refinements that are there, verified. A strip of it is its parts one behind the other.</summary>
internal readonly ref struct RefinedSection
{
    private readonly EncodedSection _base;
    private readonly EncodedSection _first;
    private readonly EncodedSection _second;
    private readonly EncodedSection _third;

    private RefinedSection(EncodedSection start, EncodedSection first, EncodedSection second, EncodedSection third, int refinements)
    {
        _base = start;
        _first = first;
        _second = second;
        _third = third;
        Refinements = refinements;
    }

    /// <summary>Refinements that are there, from the first on.</summary>
    public int Refinements { get; }

    /// <summary>Reads the section of an index of a base. A refinement that has not arrived ends it; one that is spoilt is an error.</summary>
    public static DecodeResult TryRead(in EncodedBlock block, int index, out RefinedSection section)
    {
        section = default;
        var result = block.TryRead(block.Section(index), out var start);
        if (result != DecodeResult.Ok)
        {
            return result;
        }

        var refinements = 0;
        EncodedSection first = default, second = default, third = default;
        while (refinements < block.Header.Refinements)
        {
            result = block.TryRead(block.Section(index + ((refinements + 1) * block.Header.TensorCount)), out var read);
            if (result == DecodeResult.Truncated)
            {
                break;
            }

            if (result != DecodeResult.Ok)
            {
                return result;
            }

            refinements++;
            first = refinements == 1 ? read : first;
            second = refinements == 2 ? read : second;
            third = refinements == 3 ? read : third;
        }

        section = new RefinedSection(start, first, second, third, refinements);
        return DecodeResult.Ok;
    }

    /// <summary>What is said of a strip: whether it is stored as it is by its base, what it decodes to by its last part.</summary>
    public StripEntry Entry(int strip) => _base.Entry(strip) with { DecodedChecksum = Part(Refinements).Entry(strip).DecodedChecksum };

    /// <summary>Bytes of a strip; valid until the scratch puts another together.</summary>
    public ReadOnlySpan<byte> Strip(int strip, CodecScratch scratch)
    {
        if (Refinements == 0 || _base.Entry(strip).IsRaw)
        {
            return _base.Strip(strip);
        }

        var bytes = 0;
        for (var part = 0; part <= Refinements; part++)
        {
            bytes += Part(part).Entry(strip).Length;
        }

        var joined = scratch.Rent(FrameSlot.Refined, bytes);
        var at = 0;
        for (var part = 0; part <= Refinements; part++)
        {
            var own = Part(part).Strip(strip);
            own.CopyTo(joined[at..]);
            at += own.Length;
        }

        return joined;
    }

    private EncodedSection Part(int part) => part switch { 0 => _base, 1 => _first, 2 => _second, _ => _third };
}
