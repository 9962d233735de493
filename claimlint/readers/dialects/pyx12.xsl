<?xml version="1.0" encoding="UTF-8"?>
<!-- pyx12's x12xml: <seg id="CLM"><ele id="CLM01">A</ele><comp id="CLM"><subele id="CLM05-01">11</subele></comp></seg>
     inside <loop>s. Empty elements are left out; the ids say where the others stand. -->
<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform" xmlns:saxon="http://icl.com/saxon"
    xmlns:cl="urn:claimlint:dialect"
    cl:title="pyx12 (x12xml)"
    cl:detect="//*[local-name() = 'seg'][@id]/*[@id][local-name() = 'ele' or local-name() = 'comp']"
    cl:tag="seg\s[^&lt;&gt;]*?\bid\s*=\s*[&quot;']SEG[&quot;']">
  <xsl:output method="text" encoding="UTF-8"/>
  <xsl:template match="text()"/>

  <xsl:template name="segment" match="*[local-name() = 'seg' and @id]">
    <xsl:variable name="from" select="string-length(@id) + 1"/>
    <xsl:value-of select="concat(saxon:line-number(), '&#127;', @id)"/>
    <!-- A <comp> without components says nothing, not even its position. -->
    <xsl:for-each select="*[* or local-name() = 'ele']">
      <xsl:choose>
        <xsl:when test="*">
          <xsl:value-of select="concat('&#9;', substring(*/@id, $from, 2), '&#127;')"/>
          <xsl:for-each select="*">
            <xsl:value-of select="concat('&#13;', substring-after(@id, '-'), '&#127;',
                translate(., '&#9;&#10;&#13;&#127;', '&#133;&#133;&#133; '))"/>
          </xsl:for-each>
        </xsl:when>
        <xsl:otherwise>
          <xsl:value-of select="concat('&#9;', substring(@id, $from, 2), '&#127;',
              translate(., '&#9;&#10;&#13;&#127;', '&#133;&#133;&#133; '))"/>
        </xsl:otherwise>
      </xsl:choose>
    </xsl:for-each>
    <xsl:text>&#10;</xsl:text>
  </xsl:template>
</xsl:stylesheet>
