using System.Buffers.Text;
using System.Globalization;
using System.Text;
using KvMesh.Codecs.Layouts;
using KvMesh.Engine.Coding;
using KvMesh.Protocol;
using KvMesh.Protocol.Keys;

namespace KvMesh.Server.Coding;

/// <summary>Tells from keys which part of which layout a block is: native keys name the layout, LMCache's the model.</summary>
internal static class BlockParts
{
    /// <summary>Bytes behind the names in a scope: layout hash and number of the part.</summary>
    private const int ScopeTailBytes = Limits.ChainHashBytes + sizeof(uint);

    private const int RankDigits = 8;

    /// <summary>False when nothing is known of what the block's bytes mean.</summary>
    public static bool TryFind(LayoutBook book, in CodedBlock block, out BlockPart part)
    {
        part = default;
        var key = block.Key;
        if (key.Length > Limits.ChainHashBytes && BlockScope.IsWellFormed(key[..^Limits.ChainHashBytes]))
        {
            return TryNative(book, key[..^Limits.ChainHashBytes], out part);
        }

        if (LmcacheKey.TryParse(key, out var parsed))
        {
            return parsed.Half != LmcacheHalf.Metadata && TryLmcache(book, key, parsed, out part);
        }

        if (book.FindByKey(key) is not { } entry)
        {
            return false;
        }

        // Which rank it is of does not matter: their parts are alike.
        part = new BlockPart(entry, entry.Layout.Element, entry.Order) { Ranks = entry.Ranks };
        return true;
    }

    /// <summary>Part 0 of a layout is all of it. How others are cut is not known here.</summary>
    private static bool TryNative(LayoutBook book, ReadOnlySpan<byte> scope, out BlockPart part)
    {
        var tail = scope[^ScopeTailBytes..];
        var entry = book.FindByHash(tail[..Limits.ChainHashBytes]);
        part = entry is null ? default : new BlockPart(entry, entry.Layout.Element, entry.Order);
        return entry is not null && tail[Limits.ChainHashBytes..].IndexOfAnyExcept((byte)0) < 0;
    }

    private static bool TryLmcache(LayoutBook book, ReadOnlySpan<byte> key, in LmcacheKey parsed, out BlockPart part)
    {
        part = default;
        if (book.FindByModel(Encoding.UTF8.GetString(key[parsed.Model])) is not { } entry)
        {
            return false;
        }

        var between = key[(parsed.Model.End.Value + 1)..(parsed.Hash.Start.Value - 1)];
        part = new BlockPart(entry, entry.Layout.Element, BlockOrder.PartLayerTokenHead);
        var behind = key[parsed.Hash.End.Value..parsed.BaseBytes];
        return TryRanks(between, ref part) && TryElement(behind, ref part);
    }

    /// <summary>"world@worker" in decimal, or a rank of 8 hexadecimal digits, world first, behind which a group may follow.</summary>
    private static bool TryRanks(ReadOnlySpan<byte> fields, ref BlockPart part)
    {
        var at = fields.IndexOf((byte)'@');
        var first = at < 0 ? fields : fields[..at];
        if (at < 0 || first.Length == RankDigits)
        {
            if (!int.TryParse(first, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var packed))
            {
                return false;
            }

            part = part with { Ranks = (packed >> 24) & 0xFF, Rank = (packed >> 16) & 0xFF };
        }
        else if (Utf8Parser.TryParse(first, out int ranks, out var used) && used == first.Length && Utf8Parser.TryParse(fields[(at + 1)..], out int rank, out _))
        {
            part = part with { Ranks = ranks, Rank = rank };
        }
        else
        {
            return false;
        }

        return part.Ranks <= 1 || part.Rank < part.Ranks;
    }

    /// <summary>"@dtype", "@dtype@layer", tags, or nothing.</summary>
    private static bool TryElement(ReadOnlySpan<byte> fields, ref BlockPart part)
    {
        if (fields.IsEmpty)
        {
            return true;
        }

        fields = fields[1..];
        var end = fields.IndexOf((byte)'@');
        var field = end < 0 ? fields : fields[..end];
        if (field.SequenceEqual("bfloat16"u8))
        {
            part = part with { Element = KvElement.BFloat16 };
        }
        else if (field.SequenceEqual("half"u8))
        {
            part = part with { Element = KvElement.Float16 };
        }
        else if (field.SequenceEqual("fp8_e4m3fn"u8))
        {
            part = part with { Element = KvElement.Fp8E4M3 };
        }
        else if (field.SequenceEqual("fp8_e5m2"u8))
        {
            part = part with { Element = KvElement.Fp8E5M2 };
        }
        else
        {
            // Salts and tags say nothing of the bytes; other numbers are none that a codec knows.
            return !IsOtherElement(field);
        }

        return end < 0 || TryLayer(fields[(end + 1)..], ref part);
    }

    private static bool TryLayer(ReadOnlySpan<byte> fields, ref BlockPart part)
    {
        var end = fields.IndexOf((byte)'@');
        var field = end < 0 ? fields : fields[..end];
        if (!Utf8Parser.TryParse(field, out int layer, out var used) || used != field.Length)
        {
            return true;
        }

        part = part with { FirstLayer = layer, LayerCount = 1, Order = BlockOrder.LayerTokenPartHead };
        return layer >= 0 && layer < part.Entry.Layout.Layers.Length;
    }

    private static bool IsOtherElement(ReadOnlySpan<byte> field) =>
        field.SequenceEqual("float"u8) || field.SequenceEqual("double"u8) || field.SequenceEqual("bool"u8) || field.StartsWith("int"u8)
        || field.StartsWith("uint"u8) || field.StartsWith("fp8_"u8);
}
