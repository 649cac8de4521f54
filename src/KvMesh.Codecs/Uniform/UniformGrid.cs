using KvMesh.Codecs.Blocks;

namespace KvMesh.Codecs.Uniform;

/// <summary>Along what a group of numbers with one scale runs. Append only: part of a codec's parameters.</summary>
public enum GroupAxis : byte
{
    /// <summary>Consecutive channels of one token.</summary>
    Token = 1,

    /// <summary>Consecutive tokens of one channel.</summary>
    Channel = 2,
}

/// <summary>Uniform steps for one kind of strip.</summary>
/// <param name="Axis">Along what groups run.</param>
/// <param name="Bits">Bits of a code: 2, 4 or 8.</param>
/// <param name="Group">Numbers in a group; 0 for a whole row or column.</param>
/// <param name="IsSymmetric">Steps around zero with a scale, or from the least number on with a scale and a zero point.</param>
public readonly record struct UniformGrid(GroupAxis Axis, int Bits, int Group, bool IsSymmetric)
{
    /// <summary>Bytes of the parameters of one grid.</summary>
    internal const int ParameterBytes = 4;

    /// <summary>Largest group: one that a byte of the parameters holds in units of 8.</summary>
    internal const int MaxGroup = 255 * GroupUnit;

    private const int GroupUnit = 8;

    /// <summary>Steps of a range; codes go from 0 to this.</summary>
    internal int Steps => IsSymmetric ? (1 << Bits) - 2 : (1 << Bits) - 1;

    /// <summary>The code of zero in a symmetric grid, 0 otherwise.</summary>
    internal int Bias => IsSymmetric ? (1 << (Bits - 1)) - 1 : 0;

    /// <summary>Codes in a byte.</summary>
    internal int Parts => 8 / Bits;

    /// <summary>Bytes that describe one group: a half for the scale, another for the zero point.</summary>
    internal int GroupBytes => IsSymmetric ? sizeof(ushort) : 2 * sizeof(ushort);

    /// <summary>Tokens that strips must be multiples of.</summary>
    internal int TokenMultiple => Axis == GroupAxis.Channel && Group > 0 ? Group : 1;

    /// <summary>"4t64" for 4 bits per token in groups of 64.</summary>
    internal string Name => $"{Bits}{(Axis == GroupAxis.Token ? 't' : 'c')}{(Group == 0 ? "" : Group)}{(IsSymmetric ? "s" : "")}";

    internal bool IsValid => Axis is GroupAxis.Token or GroupAxis.Channel && Bits is 2 or 4 or 8 && Group >= 0 && Group <= MaxGroup && Group % GroupUnit == 0;

    /// <summary>Whether rows divide into groups and bytes.</summary>
    internal bool Fits(in StripShape shape) =>
        shape.Tokens > 0 && shape.Channels % Parts == 0 && (Group == 0 || (Axis == GroupAxis.Token ? shape.Channels : shape.Tokens) % Group == 0);

    /// <summary>How many numbers of this strip share a scale.</summary>
    internal int GroupLength(in StripShape shape) => Group > 0 ? Group : Axis == GroupAxis.Token ? shape.Channels : shape.Tokens;

    internal int GroupCount(in StripShape shape) => (shape.Elements + GroupLength(shape) - 1) / GroupLength(shape);

    /// <summary>Bytes of a strip: descriptions of groups, then codes.</summary>
    internal int StripBytes(in StripShape shape) => (GroupCount(shape) * GroupBytes) + (shape.Elements * Bits / 8);

    internal void Write(Span<byte> parameters)
    {
        parameters[0] = (byte)Axis;
        parameters[1] = (byte)Bits;
        parameters[2] = (byte)(Group / GroupUnit);
        parameters[3] = IsSymmetric ? (byte)1 : (byte)0;
    }

    internal static UniformGrid? Read(ReadOnlySpan<byte> parameters)
    {
        var grid = new UniformGrid((GroupAxis)parameters[0], parameters[1], parameters[2] * GroupUnit, parameters[3] == 1);
        return grid.IsValid && parameters[3] <= 1 ? grid : null;
    }
}
