using System.Runtime.CompilerServices;

namespace KvMesh.Codecs.EntropyCoding;

/// <summary>
/// Frequencies of symbols by context: by what both sides know of a symbol before it is read. For encoder and decoder; immutable, made once and
/// shared by all threads.
/// </summary>
internal sealed class ContextTables
{
    /// <summary>Most contexts: a byte tells which.</summary>
    public const int MostContexts = 256;

    /// <param name="frequencies">Of each context 256 frequencies with the sum <see cref="SymbolFrequencies.Total"/>.</param>
    public ContextTables(IReadOnlyList<ushort[]> frequencies)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(frequencies.Count, MostContexts);
        Frequencies = frequencies;
        Divisions = new Rans.Division[frequencies.Count * SymbolFrequencies.SymbolCount];
        Slots = new uint[frequencies.Count * RansDecoder.TableLength];
        for (var context = 0; context < frequencies.Count; context++)
        {
            Rans.FillDivisions(frequencies[context], Divisions.AsSpan(context * SymbolFrequencies.SymbolCount, SymbolFrequencies.SymbolCount));
            RansDecoder.FillTable(frequencies[context], Slots.AsSpan(context * RansDecoder.TableLength, RansDecoder.TableLength));
        }
    }

    public IReadOnlyList<ushort[]> Frequencies { get; }

    public Rans.Division[] Divisions { get; }

    public uint[] Slots { get; }
}

/// <summary>Which table a symbol is coded with.</summary>
internal interface ITableChoice
{
    static abstract int Of(ref byte contexts, int index);
}

internal readonly struct OneTable : ITableChoice
{
    public static int Of(ref byte contexts, int index) => 0;
}

internal readonly struct TableOfContext : ITableChoice
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Of(ref byte contexts, int index) => Unsafe.Add(ref contexts, index);
}
