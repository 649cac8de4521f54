using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using KvMesh.Codecs.Numerics;

namespace KvMesh.Codecs.EntropyCoding;

/// <summary>
/// Reads a stream of <see cref="Rans"/> whose symbols have contexts, some symbols at a time, so that what was read can tell the contexts of what
/// follows. Nothing in a stream makes it read beyond stream or tables.
/// </summary>
internal ref struct ContextRansReader
{
    private const uint SlotMask = SymbolFrequencies.Total - 1;

    private readonly ReadOnlySpan<byte> _words;
    private readonly ReadOnlySpan<uint> _slots;
    private readonly Span<uint> _states;
    private int _read;
    private int _done;

    /// <param name="stream">All of the stream.</param>
    /// <param name="slots">The tables it was written with, one behind the other.</param>
    /// <param name="symbols">How many symbols it holds.</param>
    /// <param name="states">Room for <see cref="Rans.ManyLanes"/> states.</param>
    public ContextRansReader(ReadOnlySpan<byte> stream, ReadOnlySpan<uint> slots, int symbols, Span<uint> states)
    {
        var lanes = Rans.Lanes(symbols);
        var stateBytes = lanes * sizeof(uint);
        _slots = slots;
        _states = states[..lanes];
        IsValid = stream.Length >= stateBytes && (stream.Length - stateBytes) % sizeof(ushort) == 0;
        if (!IsValid)
        {
            return;
        }

        for (var lane = 0; lane < lanes; lane++)
        {
            _states[lane] = BinaryPrimitives.ReadUInt32LittleEndian(stream[(lane * sizeof(uint))..]);
        }

        _words = stream[stateBytes..];
    }

    /// <summary>Whether the stream is long enough to begin.</summary>
    public bool IsValid { get; }

    /// <summary>Whether all was read and came out as it was written.</summary>
    public readonly bool IsAtEnd => _read == _words.Length && !_states.ContainsAnyExcept(Rans.LeastState);

    /// <summary>Reads the next symbols; false when the stream has no more.</summary>
    /// <param name="contexts">The context of each, below the number of tables.</param>
    /// <param name="symbols">As many.</param>
    /// <param name="level">Instructions to use.</param>
    public bool TryRead(ReadOnlySpan<byte> contexts, Span<byte> symbols, SimdLevel level)
    {
        contexts = contexts[..symbols.Length];
        var lanes = _states.Length;
        var at = level >= SimdLevel.Vector256 && lanes == Rans.ManyLanes && _done % Rans.ManyLanes == 0 ? ReadVectors(contexts, symbols) : 0;
        for (; at < symbols.Length; at++)
        {
            var table = _slots[(contexts[at] << SymbolFrequencies.Bits)..];
            if (!RansDecoder.TryStep(ref _states[(_done + at) & (lanes - 1)], table, _words, ref _read, out symbols[at]))
            {
                return false;
            }
        }

        _done += symbols.Length;
        return true;
    }

    /// <summary>Whole rounds of lanes, as long as there are words enough for all of them. Returns how many symbols.</summary>
    private unsafe int ReadVectors(ReadOnlySpan<byte> contexts, Span<byte> symbols)
    {
        const int RoundBytes = Rans.ManyLanes * sizeof(ushort);
        var done = 0;
        ref var word = ref MemoryMarshal.GetReference(_words);
        ref var symbol = ref MemoryMarshal.GetReference(symbols);
        ref var context = ref MemoryMarshal.GetReference(contexts);
        var a = Vector256.Create<uint>(_states);
        var b = Vector256.Create<uint>(_states[8..]);
        var c = Vector256.Create<uint>(_states[16..]);
        var d = Vector256.Create<uint>(_states[24..]);

        // The bounds of every gather are those of the tables: contexts are below their number, and the rest of an index is a slot.
        fixed (uint* slots = _slots)
        fixed (int* orders = RansDecoder.WordOrders)
        {
            for (; done + Rans.ManyLanes <= symbols.Length && _words.Length - _read >= RoundBytes; done += Rans.ManyLanes)
            {
                var first = RansDecoder.Step(ref a, Places(a, ref context, done), slots, orders, ref word, ref _read);
                var second = RansDecoder.Step(ref b, Places(b, ref context, done + 8), slots, orders, ref word, ref _read);
                var third = RansDecoder.Step(ref c, Places(c, ref context, done + 16), slots, orders, ref word, ref _read);
                var fourth = RansDecoder.Step(ref d, Places(d, ref context, done + 24), slots, orders, ref word, ref _read);
                Lanes.ToBytes(first, second, third, fourth).StoreUnsafe(ref symbol, (nuint)done);
            }
        }

        a.CopyTo(_states);
        b.CopyTo(_states[8..]);
        c.CopyTo(_states[16..]);
        d.CopyTo(_states[24..]);
        return done;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> Places(Vector256<uint> states, ref byte contexts, int at)
    {
        var bytes = Vector128.CreateScalarUnsafe(Unsafe.ReadUnaligned<ulong>(ref Unsafe.Add(ref contexts, at))).AsByte();
        return (states & Vector256.Create(SlotMask)).AsInt32() + (Avx2.ConvertToVector256Int32(bytes) << SymbolFrequencies.Bits);
    }
}
